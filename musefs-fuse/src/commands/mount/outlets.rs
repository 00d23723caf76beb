//! Where a mount's telemetry goes beside the files in it. Each outlet runs on threads of its own, and none holds up another or
//! the mount.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::options;
use crate::cli::{HttpArgs, MountArgs};
use crate::clients::Clients;
use crate::commands::Failure;
use crate::dispatch::Dispatch;
use crate::files;
use crate::http::{Endpoint, Listen, Server, Token};
use crate::metrics::Transport;
use crate::metrics_files::MetricsFiles;
use crate::otlp;
use crate::pushed::{self, Pushing};
use crate::textfile::{self, Keeper, Textfile};

/// What was asked for and can be had, before anything runs.
pub(super) struct Wanted {
    textfile: Option<Textfile>,
    endpoint: Option<Endpoint>,
    otlp: Option<otlp::Wanted>,
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
            endpoint: endpoint(&args.http, mountpoint)?,
            otlp: otlp::Wanted::of(&args.otlp).map_err(Failure::usage)?,
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
        otlp: otlp::Counts,
    ) -> io::Result<Outlets> {
        let interval = args.metrics_textfile_interval;
        let given = Arc::clone(metrics);
        let text = move || given.give(textfile::SOURCE, Transport::Textfile);
        let keeper = self
            .textfile
            .map(|file| Keeper::start(file, interval, text))
            .transpose()?;
        let server = self
            .endpoint
            .map(|endpoint| {
                super::say(io::stdout(), format_args!("metrics at {}", endpoint.told()));
                endpoint.start(metrics)
            })
            .transpose()?;
        let sent = self.otlp;
        let otlp = sent
            .map(|sent| sent.start(&args.otlp, metrics, otlp))
            .transpose()?;
        let pushing = self.pushed.and_then(|wanted| wanted.start(metrics));
        Ok(Outlets {
            keeper,
            server,
            clients: clients(args, metrics.dispatch())?,
            otlp,
            pushing,
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
    server: Option<Server>,
    clients: Option<Arc<Clients>>,
    otlp: Option<otlp::Outlet>,
    pushing: Option<Pushing>,
}

impl Outlets {
    /// Ends all of them at once; whether they ended before `deadline`. A server elsewhere that does not answer is no thread of
    /// the mount's that is stuck.
    pub(super) fn stop(&self, deadline: Instant) -> bool {
        std::thread::scope(|threads| {
            if let Some(pushing) = &self.pushing {
                pushing.ask_to_stop();
                threads.spawn(|| pushing.stop(deadline));
            }
            if let Some(otlp) = &self.otlp {
                threads.spawn(|| otlp.stop(deadline));
            }
            let keeper = threads.spawn(|| {
                self.keeper
                    .as_ref()
                    .is_none_or(|keeper| keeper.stop(deadline))
            });
            let stopped = [
                self.server
                    .as_ref()
                    .is_none_or(|server| server.stop(deadline)),
                self.clients
                    .as_ref()
                    .is_none_or(|clients| clients.stop(deadline)),
                keeper.join().unwrap_or(false),
            ];
            !stopped.contains(&false)
        })
    }
}

/// The endpoint that the flags of a mount at `mountpoint` ask for, listening.
fn endpoint(args: &HttpArgs, mountpoint: &Path) -> Result<Option<Endpoint>, Failure> {
    let Some(listen) = &args.metrics_listen else {
        return Ok(None);
    };
    let listen = match listen {
        Listen::Unix(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            apart(&path, mountpoint, "the socket")?;
            Listen::Unix(path)
        }
        address @ Listen::Address(_) => address.clone(),
    };
    let token = args.metrics_token_file.as_deref().map(|path| {
        apart(path, mountpoint, "the token")?;
        Token::read(path).map_err(Failure::from)
    });
    Ok(Some(Endpoint::open(&listen, token.transpose()?)?))
}

/// Refuses a path inside a musefs mount, or where this one will be.
fn apart(path: &Path, mountpoint: &Path, what: &str) -> Result<(), Failure> {
    files::refuse_inside_musefs(path, what)?;
    options::refuse_at(mountpoint, path, what)
}
