//! Work in steps. Each waits for one thing alone and says beforehand for which, so that whoever lends threads to it can see to
//! it that what waits for one thing that hangs never has them all.

use std::path::Path;
use std::sync::Arc;

use super::cache::Resolved;
use super::flights::{Boarded, Flight, Lead};
use super::handles::Handle;
use super::resolve::Located;
use super::{Error, HandleId, Musefs, backing};
use crate::ids::{RootId, TrackId};
use crate::tree::Inode;
use musefs_telemetry::Ctx;

/// What a step may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitsFor {
    /// The store, where it is not known which device it is on.
    Store,
    /// The device with this number.
    Device(u64),
    /// The backing files of a root, where nothing tells which device they are on.
    Root(RootId),
}

/// What came of a step.
#[derive(Debug)]
pub enum Step<T, W> {
    /// It was the last one.
    Done(T),
    /// The next one is this.
    Next(W),
}

/// How an open came to know where the bytes of its file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// They were known from before.
    Known,
    /// It looked for them.
    Resolved,
    /// Another request looked for them while it waited.
    Shared(Ctx),
}

/// A file that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFile {
    /// The open file.
    pub handle: HandleId,
    /// How it came about.
    pub found: Found,
}

/// An open that has steps before it.
#[derive(Debug)]
pub struct Opening {
    inode: Inode,
    track: TrackId,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// It was resolved before, or by somebody else: its backing file is opened.
    Known(Arc<Resolved>, Found),
    /// The store is read, which waits for this.
    Unknown(WaitsFor),
    /// Another request is resolving it.
    Following(Arc<Flight>, WaitsFor),
    /// The same as unknown, after another request could not resolve it.
    Alone(WaitsFor),
    /// The store was read: the backing file is opened and its metadata read.
    Located(Box<Located>, Option<Lead>),
    /// Somebody else has it open as this by now: that is opened, too.
    Joining(Arc<Resolved>),
}

impl Opening {
    /// What the next step may have to wait for.
    pub fn waits_for(&self) -> WaitsFor {
        match &self.stage {
            Stage::Known(resolved, _) | Stage::Joining(resolved) => {
                WaitsFor::Device(resolved.device)
            }
            Stage::Unknown(waits_for)
            | Stage::Following(_, waits_for)
            | Stage::Alone(waits_for) => *waits_for,
            Stage::Located(located, _) => located.waits_for,
        }
    }

    /// The work of another request that the next step waits for, if it does. Better than to wait there is to leave word with it.
    pub fn awaits(&self) -> Option<Arc<Flight>> {
        match &self.stage {
            Stage::Following(flight, _) => Some(Arc::clone(flight)),
            _ => None,
        }
    }

    fn at(inode: Inode, track: TrackId, stage: Stage) -> Step<OpenFile, Self> {
        Step::Next(Self {
            inode,
            track,
            stage,
        })
    }
}

/// A file that is closed for its reader. When this is dropped, and nobody reads it any more, its backing file is closed, which
/// may wait.
#[derive(Debug)]
pub struct Released(pub(super) Option<Arc<Handle>>);

impl Released {
    /// What closing the backing file may have to wait for, if for anything.
    pub fn waits_for(&self) -> Option<WaitsFor> {
        let resolved = &self.0.as_ref()?.resolved;
        (!resolved.without_waiting).then_some(WaitsFor::Device(resolved.device))
    }
}

impl Musefs {
    /// Begins to open `inode`. Waits for nothing.
    ///
    /// # Errors
    /// When it is no file or has moved on.
    pub fn begin_open(&self, inode: Inode) -> Result<Opening, Error> {
        let target = self.open_target(inode)?;
        let unknown = Stage::Unknown(self.stores.waits_for());
        Ok(Opening {
            inode,
            track: target.track,
            stage: target
                .resolved
                .map_or(unknown, |resolved| Stage::Known(resolved, Found::Known)),
        })
    }

    /// Does the next step of an open; may wait for what that says it waits for.
    ///
    /// # Errors
    /// When the backing file or the store cannot be read, or the file has moved on.
    pub fn open_step(&self, opening: Opening) -> Result<Step<OpenFile, Opening>, Error> {
        let Opening {
            inode,
            track,
            stage,
        } = opening;
        let reopen = |resolved: &Arc<Resolved>| {
            let file = self.open_backing(&resolved.path);
            self.hold(inode, Arc::clone(resolved), file)
        };
        let done = |handle, found| Step::Done(OpenFile { handle, found });
        let next = |stage| Opening::at(inode, track, stage);
        let locate = |lead| {
            self.metrics.cache_header_misses.increment();
            let located = self.locate(inode, track)?;
            Ok::<_, Error>(next(Stage::Located(Box::new(located), lead)))
        };
        Ok(match stage {
            Stage::Known(resolved, found) => match reopen(&resolved) {
                Some(handle) => {
                    if found == Found::Known {
                        self.metrics.cache_header_hits.increment();
                    }
                    done(handle, found)
                }
                None => next(Stage::Unknown(self.stores.waits_for())),
            },
            Stage::Unknown(waits_for) => match self.flights.board(inode) {
                Boarded::Leads(lead) => locate(Some(lead))?,
                Boarded::Follows(flight) => next(Stage::Following(flight, waits_for)),
                Boarded::Alone => locate(None)?,
            },
            Stage::Following(flight, waits_for) => match flight.wait() {
                Some(resolved) => {
                    self.metrics.resolves_coalesced.increment();
                    next(Stage::Known(resolved, Found::Shared(flight.leader())))
                }
                None => next(Stage::Alone(waits_for)),
            },
            Stage::Alone(_) => locate(None)?,
            Stage::Located(located, lead) => {
                let (resolved, file) = self.resolve(&located)?;
                if !resolved.is_newer {
                    self.cache.insert(inode, Arc::clone(&resolved));
                }
                if let Some(lead) = lead {
                    lead.land(&resolved);
                }
                // Another open of the same inode may have been faster, and have found another version.
                match self.insert_handle(inode, resolved, file) {
                    Ok(handle) => done(handle, Found::Resolved),
                    Err(first) => next(Stage::Joining(first)),
                }
            }
            Stage::Joining(first) => done(reopen(&first).ok_or(Error::Stale)?, Found::Resolved),
        })
    }

    /// Opens `inode`; may wait.
    ///
    /// # Errors
    /// When it is no file, has moved on, or its backing file or store cannot be read.
    pub fn open(&self, inode: Inode) -> Result<HandleId, Error> {
        let mut opening = self.begin_open(inode)?;
        loop {
            match self.open_step(opening)? {
                Step::Done(open) => return Ok(open.handle),
                Step::Next(next) => opening = next,
            }
        }
    }

    /// What opening `path`, a file of `root`, may have to wait for.
    pub(super) fn device_of(root: RootId, path: &Path) -> WaitsFor {
        backing::known_device(path).map_or(WaitsFor::Root(root), WaitsFor::Device)
    }
}
