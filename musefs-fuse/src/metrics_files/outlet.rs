//! What a mount gives to whoever sends its metrics and operations elsewhere: plain data, of the moment that its files show.

use std::sync::{Arc, mpsc};

use musefs_telemetry::Engine;

use super::{MetricsFiles, Snapshot, Target};

impl Snapshot {
    /// The numbers that the texts tell.
    pub fn values(&self) -> &musefs_telemetry::Snapshot {
        &self.values
    }
}

impl MetricsFiles {
    /// What counts.
    pub fn engine(&self) -> &Engine {
        self.musefs.engine()
    }

    /// The labels that tell this mount from others.
    pub fn identity(&self) -> &[(String, String)] {
        &self.identity
    }

    /// The moment that the files show now, rendered on the lane when it is too old; `None` when the lane is ending.
    pub fn moment(self: &Arc<Self>) -> Option<Arc<Snapshot>> {
        let files = Arc::clone(self);
        let (done, rendered) = mpsc::sync_channel(1);
        let job = move || {
            // Nobody waits any more when the mount is ending.
            done.send(files.fresh()).ok();
        };
        self.dispatch.lane().submit(Box::new(job)).ok()?;
        rendered.recv().ok()
    }

    /// From how long on operations are slow, in nanoseconds.
    pub fn slow_ns(&self) -> u64 {
        self.dispatch.metrics().ops.slow_ns()
    }

    /// The path below the mount that `inode` has now; `None` when it has none, or is none of the library's.
    pub fn path_of(&self, inode: u64) -> Option<String> {
        let Target::Tree(inode) = self.decode(inode) else {
            return None;
        };
        let tree = self.musefs.tree();
        Some(tree.path_of(tree.find(inode)?))
    }
}
