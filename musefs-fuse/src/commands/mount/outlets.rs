//! Where a mount's telemetry goes beside the files in it. Each outlet runs on threads of its own, and none holds up another or
//! the mount.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::options;
use crate::cli::MountArgs;
use crate::commands::Failure;
use crate::metrics::Transport;
use crate::metrics_files::MetricsFiles;
use crate::pushed::{self, Pushing};
use crate::textfile::{self, Keeper, Textfile};

/// What was asked for and can be had, before anything runs.
pub(super) struct Wanted {
    textfile: Option<Textfile>,
    pushed: Option<pushed::Wanted>,
}

impl Wanted {
    /// The outlets that the flags of a mount at `mountpoint` ask for.
    ///
    /// # Errors
    /// When one makes no sense.
    pub(super) fn of(args: &MountArgs, mountpoint: &Path) -> Result<Self, Failure> {
        Ok(Self {
            textfile: options::textfile(args, mountpoint)?,
            pushed: pushed::Wanted::of(&args.push, &args.given, mountpoint)?,
        })
    }

    /// Starts them.
    ///
    /// # Errors
    /// When one cannot be started.
    pub(super) fn start(
        self,
        args: &MountArgs,
        metrics: &Arc<MetricsFiles>,
    ) -> io::Result<Outlets> {
        let interval = args.metrics_textfile_interval;
        let given = Arc::clone(metrics);
        let text = move || given.give(textfile::SOURCE, Transport::Textfile);
        let keeper = self
            .textfile
            .map(|file| Keeper::start(file, interval, text))
            .transpose()?;
        let pushing = self.pushed.and_then(|wanted| wanted.start(metrics));
        Ok(Outlets { keeper, pushing })
    }
}

/// What runs.
pub(super) struct Outlets {
    keeper: Option<Keeper>,
    pushing: Option<Pushing>,
}

impl Outlets {
    /// Ends all of them; whether they ended before `deadline`.
    pub(super) fn stop(&self, deadline: Instant) -> bool {
        // What takes long begins first. A server that does not answer is no thread of the mount's that is stuck.
        let pushing = self.pushing.as_ref();
        if let Some(pushing) = pushing {
            pushing.ask_to_stop();
        }
        let keeper = self.keeper.as_ref();
        let stopped = keeper.is_none_or(|keeper| keeper.stop(deadline));
        if let Some(pushing) = pushing {
            pushing.stop(deadline);
        }
        stopped
    }
}
