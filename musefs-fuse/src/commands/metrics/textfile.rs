//! `musefs metrics textfile`: copies a mount's metrics to a file, once or again and again, and says there when the mount is
//! gone.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Result, anyhow, bail};

use super::patience::Patient;
use super::print::{waits, watch_signals};
use super::source::Source;
use crate::cli::{EXIT_DONE, EXIT_FAILED, TextfileArgs};
use crate::commands::{Failure, owners};
use crate::textfile::{Held, Identity, SOURCE, Textfile, TextfileError};

/// Copies; the exit code.
///
/// # Errors
/// When the file cannot be written, or the flags make no sense.
pub(super) fn run(args: &TextfileArgs) -> Result<u8, Failure> {
    let owner = args.owner.as_deref();
    let group = args.group.as_deref();
    let file = Textfile {
        path: args.path.clone(),
        mode: args.mode,
        uid: owner
            .map(|name| owners::user(name, "--owner"))
            .transpose()?,
        gid: group
            .map(|name| owners::group(name, "--group"))
            .transpose()?,
        held: Held::default(),
    };
    file.check()?;
    if !file.is_collected() {
        warn(&format!(
            "{} does not end in .prom: node_exporter reads only files that do",
            file.path.display()
        ));
    }
    let mut copier = Copier {
        // What the file said before this program began.
        identity: file.remembered(),
        file,
        is_away: false,
        told: None,
        patient: Patient::default(),
    };
    let Some(interval) = args.interval else {
        return match copier.copy(&args.mount)? {
            None => Ok(EXIT_DONE),
            Some(away) => {
                copier.say_that_it_is_away(&away)?;
                Ok(EXIT_FAILED)
            }
        };
    };
    let ended = watch_signals()?;
    let mut is_first = true;
    loop {
        let turn = copier.turn(&args.mount);
        match turn {
            // What cannot be written at first never can, most likely.
            Err(error) if is_first => return Err(error.into()),
            Err(error) => copier.tell_once(Failure::from(error).to_string()),
            Ok(()) => {}
        }
        is_first = false;
        if !waits(&ended, interval) {
            return Ok(EXIT_DONE);
        }
    }
}

fn warn(what: &str) {
    writeln!(io::stderr(), "musefs: warning: {what}").ok();
}

/// Copies, and remembers what it needs to say that the mount is away.
struct Copier {
    file: Textfile,
    identity: Option<Identity>,
    /// Whether the file says already that the mount is away: once is enough.
    is_away: bool,
    /// What was told last, so that it is not repeated at every turn.
    told: Option<String>,
    /// Who looks into the mount.
    patient: Patient<Result<(Vec<u8>, Identity)>>,
}

impl Copier {
    /// Copies the metrics of the mount at `mount`; why the mount is away, where it is.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn copy(&mut self, mount: &Path) -> Result<Option<anyhow::Error>, TextfileError> {
        let at = mount.to_path_buf();
        match self.patient.look(Some(mount), move || text_of(&at)) {
            Ok((text, identity)) => {
                self.identity = Some(identity);
                self.file.write(&text)?;
                Ok(None)
            }
            Err(away) => Ok(Some(away)),
        }
    }

    /// Has the file say that the mount is away, and the user why.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn say_that_it_is_away(&mut self, why: &anyhow::Error) -> Result<(), TextfileError> {
        let written = match &self.identity {
            Some(identity) => {
                self.file.write(identity.down().as_bytes())?;
                format!("{} says that it is down", self.file.path.display())
            }
            None => format!(
                "{} is left alone, because it is not known under which labels the mount was seen",
                self.file.path.display()
            ),
        };
        self.tell_once(format!("{why:#}; {written}"));
        Ok(())
    }

    fn turn(&mut self, mount: &Path) -> Result<(), TextfileError> {
        match self.copy(mount)? {
            None => (self.is_away, self.told) = (false, None),
            Some(away) if !self.is_away => {
                self.say_that_it_is_away(&away)?;
                self.is_away = true;
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn tell_once(&mut self, what: String) {
        if self.told.as_ref() != Some(&what) {
            writeln!(io::stderr(), "musefs: {what}").ok();
            self.told = Some(what);
        }
    }
}

/// The metrics of the mount at `mount`, whole.
///
/// # Errors
/// When it is away.
fn text_of(mount: &Path) -> Result<(Vec<u8>, Identity)> {
    let Source::Mount(mount) = Source::of(mount)? else {
        bail!("{} is a file: name the mount", mount.display());
    };
    let text = mount.text(SOURCE)?;
    let identity =
        Identity::of(&text).ok_or_else(|| anyhow!("{} is not whole", mount.called(SOURCE)))?;
    Ok((text, identity))
}
