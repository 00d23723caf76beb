//! `musefs stats`: what a mount does, in the terminal.
//!
//! One thread asks the mount and may wait for it; the other one draws and listens to keys, so that neither a slow mount nor a
//! dead one holds up the screen.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::Failure;
use super::metrics::print::{say, waits, watch_signals};
use crate::cli::{EXIT_DONE, StatsArgs};

mod draw;
mod human;
mod moment;
mod source;
mod view;

use draw::{Screen, draw};
use moment::Moment;
use source::Source;
use view::View;

const KEYS: &str = "q ends · space holds still · + - look less, more often";
/// How many intervals the plot remembers: as many as the widest terminal has columns.
const HISTORY_MAX: usize = 512;
/// How often keys and answers are looked for.
const TURN: Duration = Duration::from_millis(100);
/// Beyond the interval, from when on a mount is said not to answer.
const PATIENCE: Duration = Duration::from_secs(2);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(60);
/// The size of the text that is printed where there is no terminal.
const PRINTED: (u16, u16) = (80, 28);

/// Shows, until told to end; the exit code.
///
/// # Errors
/// When there is no such mount, or it does not answer at the beginning.
pub(super) fn run(args: &StatsArgs) -> Result<u8, Failure> {
    let source = Source::of(args)?;
    if args.json || args.once || !io::stdout().is_terminal() {
        return print(args, &source);
    }
    let first = source.moment()?;
    let signals = watch_signals()?;
    let mut terminal = ratatui::try_init().context("the terminal cannot be drawn on")?;
    let watched = Watched::start(source, args.interval)?;
    let shown = watch(&mut terminal, &watched, first, &signals);
    ratatui::restore();
    shown?;
    Ok(EXIT_DONE)
}

/// Prints interval by interval, or only one.
fn print(args: &StatsArgs, source: &Source) -> Result<u8, Failure> {
    let ended = watch_signals()?;
    let mut before = (source.moment()?, Instant::now());
    while waits(&ended, args.interval) {
        let now = (source.moment()?, Instant::now());
        let elapsed = (now.1 - before.1).as_secs_f64();
        let Some(view) = View::between(&before.0, &now.0, elapsed) else {
            continue;
        };
        let text = if args.json {
            format!("{}\n", serde_json::to_string(&view)?)
        } else {
            printed(&source.to_string(), &view)?
        };
        if !say(&text)? || args.once || !args.json {
            break;
        }
        before = now;
    }
    Ok(EXIT_DONE)
}

/// The screen as lines of text.
fn printed(source: &str, view: &View) -> io::Result<String> {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(PRINTED.0, PRINTED.1));
    let screen = Screen {
        source,
        view: Some(view),
        history: &[],
        trouble: None,
        is_away: false,
        keys: None,
    };
    let Ok(drawn) = terminal.draw(|frame| draw(frame, &screen));
    let cells = drawn.buffer.content();
    let mut text = Vec::new();
    for row in cells.chunks(usize::from(PRINTED.0)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        writeln!(text, "{}", line.trim_end())?;
    }
    let text = String::from_utf8(text).expect("symbols are text");
    Ok(format!("{}\n", text.trim_end()))
}

/// A mount that is asked at intervals, by a thread of its own.
struct Watched {
    name: String,
    answers: Receiver<(anyhow::Result<Moment>, Instant)>,
    interval_ms: Arc<AtomicU64>,
}

impl Watched {
    fn start(source: Source, interval: Duration) -> io::Result<Self> {
        // The one that nobody has taken yet is enough.
        let (send, answers) = mpsc::sync_channel(1);
        let interval_ms = Arc::new(AtomicU64::new(milliseconds(interval)));
        let paced = Arc::clone(&interval_ms);
        let name = source.to_string();
        std::thread::Builder::new()
            .name("musefs-ask".into())
            .spawn(move || {
                loop {
                    std::thread::sleep(Duration::from_millis(paced.load(Relaxed)));
                    let answer = (source.moment(), Instant::now());
                    if send.send(answer).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self {
            name,
            answers,
            interval_ms,
        })
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.load(Relaxed))
    }

    /// Makes the interval twice or half as long.
    fn change(&self, longer: bool) {
        let interval = self.interval();
        let changed = if longer { interval * 2 } else { interval / 2 };
        let bounded = changed.clamp(INTERVAL_MIN, INTERVAL_MAX);
        self.interval_ms.store(milliseconds(bounded), Relaxed);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is known while it is watched.
struct Known {
    last: (Moment, Instant),
    view: Option<View>,
    history: Vec<u64>,
    trouble: Option<String>,
    held: bool,
}

impl Known {
    fn take(&mut self, answer: anyhow::Result<Moment>, at: Instant) {
        match answer {
            Ok(now) => {
                let elapsed = at.duration_since(self.last.1).as_secs_f64();
                let view = View::between(&self.last.0, &now, elapsed);
                self.last = (now, at);
                self.trouble = None;
                let Some(view) = view.filter(|_| !self.held) else {
                    return;
                };
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a plot of whole bytes"
                )]
                self.history.push(view.read_bytes_per_second() as u64);
                if self.history.len() > HISTORY_MAX {
                    self.history.remove(0);
                }
                self.view = Some(view);
            }
            Err(error) => self.trouble = Some(Failure::from(error).to_string()),
        }
    }

    fn trouble(&self, interval: Duration) -> Option<String> {
        if self.held {
            return Some("holding still; space goes on".into());
        }
        let silent = self.last.1.elapsed();
        let waits = silent > interval + PATIENCE;
        let since = || format!("no answer for {} s", silent.as_secs());
        match &self.trouble {
            Some(trouble) => Some(format!("{}: {trouble}", since())),
            None => waits.then(since),
        }
    }
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    watched: &Watched,
    first: Moment,
    signals: &Receiver<()>,
) -> anyhow::Result<()> {
    let mut known = Known {
        last: (first, Instant::now()),
        view: None,
        history: Vec::new(),
        trouble: None,
        held: false,
    };
    loop {
        if let Ok((answer, at)) = watched.answers.try_recv() {
            known.take(answer, at);
        }
        let trouble = known.trouble(watched.interval());
        let keys = format!("{KEYS} · every {:.1} s", watched.interval().as_secs_f64());
        terminal.draw(|frame| {
            let screen = Screen {
                source: &watched.name,
                view: known.view.as_ref(),
                history: &known.history,
                trouble: trouble.as_deref(),
                is_away: trouble.is_some() && !known.held,
                keys: Some(&keys),
            };
            draw(frame, &screen);
        })?;
        if signals.try_recv() != Err(TryRecvError::Empty) {
            return Ok(());
        }
        if !event::poll(TURN)? {
            continue;
        }
        if let Event::Key(key) = event::read()? {
            match meaning(key) {
                Some(Meant::End) => return Ok(()),
                Some(Meant::Hold) => known.held = !known.held,
                Some(Meant::Interval { longer }) => watched.change(longer),
                None => {}
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    End,
    Hold,
    Interval { longer: bool },
}

fn meaning(key: KeyEvent) -> Option<Meant> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            Some(Meant::End)
        }
        KeyCode::Char('q') | KeyCode::Esc => Some(Meant::End),
        KeyCode::Char(' ') => Some(Meant::Hold),
        KeyCode::Char('+' | '=') => Some(Meant::Interval { longer: true }),
        KeyCode::Char('-') => Some(Meant::Interval { longer: false }),
        _ => None,
    }
}
