//! A program in a pseudo-terminal: what a person would see of it, and their keys.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use parking_lot::Mutex;

use super::eventually;

/// A program in a terminal of its own. Killed when it is dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    /// Starts `command` in a terminal with so many columns and lines.
    #[track_caller]
    pub fn start(command: &mut Command, columns: u16, lines: u16) -> Self {
        let size = Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let ends = openpty(Some(&size), None).expect("a pseudo-terminal");
        let end = || Stdio::from(ends.slave.try_clone().expect("a second descriptor"));
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let mut shown = File::from(ends.master);
        let keyboard = shown.try_clone().expect("a second descriptor");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(lines, columns, 0)));
        let drawn = Arc::clone(&screen);
        // It ends with the terminal, when the last program in it has gone.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = shown.read(&mut bytes) {
                drawn.lock().process(&bytes[..count]);
            }
        });
        Self {
            child,
            keyboard,
            screen,
        }
    }

    /// What is on the screen, line by line.
    pub fn text(&self) -> String {
        self.screen.lock().screen().contents()
    }

    /// Waits until `words` are on the screen; all that is there then.
    #[track_caller]
    pub fn shows(&self, words: &str) -> String {
        eventually(&format!("`{words}` on the screen"), || {
            let text = self.text();
            text.contains(words).then_some(text)
        })
    }

    /// Presses keys.
    #[track_caller]
    pub fn press(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("the terminal takes keys");
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        eventually("the end of the program", || {
            std::thread::sleep(Duration::from_millis(10));
            self.child.try_wait().expect("it is our child")
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
