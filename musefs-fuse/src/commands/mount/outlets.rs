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
use crate::otlp;
use crate::textfile::{self, Keeper, Textfile};

/// What was asked for and can be had, before anything runs.
pub(super) struct Wanted {
    textfile: Option<Textfile>,
    otlp: Option<otlp::Wanted>,
}

impl Wanted {
    /// The outlets that the flags of a mount at `mountpoint` ask for.
    ///
    /// # Errors
    /// When one makes no sense.
    pub(super) fn of(args: &MountArgs, mountpoint: &Path) -> Result<Self, Failure> {
        Ok(Self {
            textfile: options::textfile(args, mountpoint)?,
            otlp: otlp::Wanted::of(&args.otlp).map_err(Failure::usage)?,
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
        otlp: otlp::Counts,
    ) -> io::Result<Outlets> {
        let interval = args.metrics_textfile_interval;
        let given = Arc::clone(metrics);
        let text = move || given.give(textfile::SOURCE, Transport::Textfile);
        let keeper = self
            .textfile
            .map(|file| Keeper::start(file, interval, text))
            .transpose()?;
        let sent = self.otlp;
        let otlp = sent
            .map(|sent| sent.start(&args.otlp, metrics, otlp))
            .transpose()?;
        Ok(Outlets { keeper, otlp })
    }
}

/// What runs.
pub(super) struct Outlets {
    keeper: Option<Keeper>,
    otlp: Option<otlp::Outlet>,
}

impl Outlets {
    /// Ends all of them; whether they ended before `deadline`.
    pub(super) fn stop(&self, deadline: Instant) -> bool {
        let (keeper, otlp) = (self.keeper.as_ref(), self.otlp.as_ref());
        let stopped = [
            keeper.is_none_or(|keeper| keeper.stop(deadline)),
            otlp.is_none_or(|otlp| otlp.stop(deadline)),
        ];
        !stopped.contains(&false)
    }
}
