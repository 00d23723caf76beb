//! Where a mount's telemetry goes beside the files in it. Each outlet runs on threads of its own, and none holds up another or
//! the mount.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::options;
use crate::cli::MountArgs;
use crate::clients::Clients;
use crate::commands::Failure;
use crate::dispatch::Dispatch;
use crate::metrics::Transport;
use crate::metrics_files::MetricsFiles;
use crate::textfile::{self, Keeper, Textfile};

/// What was asked for and can be had, before anything runs.
pub(super) struct Wanted {
    textfile: Option<Textfile>,
}

impl Wanted {
    /// The outlets that the flags of a mount at `mountpoint` ask for.
    ///
    /// # Errors
    /// When one makes no sense.
    pub(super) fn of(args: &MountArgs, mountpoint: &Path) -> Result<Self, Failure> {
        Ok(Self {
            textfile: options::textfile(args, mountpoint)?,
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
        Ok(Outlets {
            keeper,
            clients: clients(args, metrics.dispatch())?,
        })
    }
}

/// Has it noted who asks, unless that is not wanted.
fn clients(args: &MountArgs, dispatch: &Dispatch) -> io::Result<Option<Arc<Clients>>> {
    let metrics = &dispatch.metrics().clients;
    if args.clients.no_clients {
        metrics.silence();
        return Ok(None);
    }
    let clients = Clients::start(metrics)?;
    dispatch.tell_clients(Arc::clone(&clients));
    Ok(Some(clients))
}

/// What runs.
pub(super) struct Outlets {
    keeper: Option<Keeper>,
    clients: Option<Arc<Clients>>,
}

impl Outlets {
    /// Ends all of them; whether they ended before `deadline`.
    pub(super) fn stop(&self, deadline: Instant) -> bool {
        let keeper = self.keeper.as_ref();
        let clients = self.clients.as_ref();
        let stopped = [
            keeper.is_none_or(|keeper| keeper.stop(deadline)),
            clients.is_none_or(|clients| clients.stop(deadline)),
        ];
        !stopped.contains(&false)
    }
}
