//! Looking into a mount without waiting for it: its process may be stopped, and then whoever reads a file of it hangs. So a
//! thread looks, and is left behind when nothing comes of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Result, bail};
use musefs_core::mounts::Mounts;

use super::source::refuse_silent;
use crate::control::locate;

/// How long a mount may take: its metrics wait for no disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// Somebody who looks, once or again and again, with no more than one thread.
#[derive(Debug)]
pub(super) struct Patient<T> {
    /// The look that nothing has come of yet.
    pending: Option<Receiver<T>>,
}

impl<T> Default for Patient<T> {
    fn default() -> Self {
        Self { pending: None }
    }
}

impl<T: Send + 'static> Patient<Result<T>> {
    /// What `look` finds at `path`, or in the only mount where there is no path.
    ///
    /// # Errors
    /// Those of `look`; when that is in a mount which does not answer, or there is no thread for it.
    pub(super) fn look(
        &mut self,
        path: Option<&Path>,
        look: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // What lies elsewhere takes as long as it takes.
        let Some(mount) = mount_at(path) else {
            return look();
        };
        refuse_silent(&mount)?;
        match self.within(PATIENCE, look)? {
            Some(found) => found,
            None => bail!("the musefs at {} does not answer", mount.display()),
        }
    }
}

impl<T: Send + 'static> Patient<T> {
    /// What comes of `work` within `patience`. Nothing is begun while what was begun before goes on.
    fn within(
        &mut self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Option<T>> {
        if let Some(pending) = &self.pending
            && pending.recv_timeout(patience).err() == Some(RecvTimeoutError::Timeout)
        {
            return Ok(None);
        }
        let (done, result) = sync_channel(1);
        // Nobody hears of what comes too late.
        let looking = move || drop(done.send(work()));
        std::thread::Builder::new()
            .name("musefs-look".into())
            .spawn(looking)?;
        let found = result.recv_timeout(patience).ok();
        self.pending = found.is_none().then_some(result);
        Ok(found)
    }
}

/// Where the mount is that is looked into. Of several none is, unless one is named.
fn mount_at(path: Option<&Path>) -> Option<PathBuf> {
    let mounts = Mounts::of_this_process();
    if let Some(path) = path {
        return locate::musefs_holding(&mounts, path).map(|mount| mount.point);
    }
    let mut points = mounts.musefs_points();
    let only = points.next().filter(|_| points.next().is_none());
    only.map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn one_that_hangs_is_left_behind_and_no_other_is_begun_beside_it() {
        let mut patient = Patient::default();
        let (go_on, gate) = channel::<()>();
        let short = Duration::from_millis(20);
        let hung = patient.within(short, move || {
            gate.recv().ok();
            1
        });
        assert_eq!(hung.unwrap(), None);
        assert_eq!(patient.within(short, || unreachable!()).unwrap(), None);
        drop(go_on);
        let long = Duration::from_secs(60);
        assert_eq!(patient.within(long, || 3).unwrap(), Some(3));
        assert_eq!(patient.within(long, || 4).unwrap(), Some(4));
    }
}
