//! The numbers of a moment for whoever makes something else of them than a file.

use std::sync::{Arc, mpsc};

use super::MetricsFiles;
use crate::metrics::push::PushCounters;

impl MetricsFiles {
    /// The numbers that the files show now, looked up on the lane. `None` when that is ending.
    pub fn values(self: &Arc<Self>) -> Option<musefs_telemetry::Snapshot> {
        let files = Arc::clone(self);
        let (done, looked_up) = mpsc::sync_channel(1);
        let job = move || {
            // Nobody waits any more when the mount is ending.
            done.send(files.fresh().values.clone()).ok();
        };
        self.dispatch.lane().submit(Box::new(job)).ok()?;
        looked_up.recv().ok()
    }

    /// What counts how sending facts ended.
    pub(crate) fn push_counters(&self) -> PushCounters {
        self.dispatch.metrics().push.clone()
    }
}
