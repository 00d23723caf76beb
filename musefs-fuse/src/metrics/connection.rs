//! What the kernel tells of the mount's connection to it, in the directory that it has for each.

use std::path::{Path, PathBuf};

use musefs_telemetry::{Gauge, metric_set};

use super::process::set;

/// The directory with one directory for each connection.
const CONNECTIONS: &str = "/sys/fs/fuse/connections";

/// The kernel's side of the mount.
#[metric_set(prefix = "musefs_fuse")]
#[derive(Clone, Debug)]
pub struct ConnectionGauges {
    /// Requests that the kernel has not got an answer to; absent where the kernel does not tell.
    waiting: Gauge,
    /// Requests for read-ahead and the like that the kernel may have under way; absent where the kernel does not tell.
    max_background: Gauge,
    /// Requests for read-ahead and the like from which on the kernel holds back; absent where the kernel does not tell.
    congestion_threshold: Gauge,
}

/// The directory of the connection of the mount with this device number.
pub(super) fn directory(device: u64) -> PathBuf {
    Path::new(CONNECTIONS).join(libc::minor(device).to_string())
}

impl ConnectionGauges {
    /// Shows what the files in `directory` hold now. They are made by the kernel when they are read, and often there are none.
    pub(super) fn show(&self, directory: Option<&Path>) {
        for (gauge, name) in [
            (&self.waiting, "waiting"),
            (&self.max_background, "max_background"),
            (&self.congestion_threshold, "congestion_threshold"),
        ] {
            let text = directory.and_then(|dir| std::fs::read_to_string(dir.join(name)).ok());
            set(gauge, text.and_then(|text| text.trim().parse().ok()));
        }
    }
}

#[cfg(test)]
mod tests {
    use musefs_telemetry::{Engine, MetricSet as _};

    use super::*;

    #[test]
    fn what_the_kernel_tells_shows_and_nothing_else() {
        let engine = Engine::new();
        let gauges = ConnectionGauges::declare(&engine).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let shown = || {
            gauges.show(Some(directory.path()));
            let snapshot = engine.snapshot();
            ["waiting", "max_background", "congestion_threshold"].map(|name| {
                let metric = snapshot.find(&format!("musefs_fuse_{name}"))?;
                snapshot.value(metric.family(), 0)
            })
        };
        assert_eq!(shown(), [None, None, None]);
        for (name, text) in [("waiting", "3\n"), ("max_background", "64\n")] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        assert_eq!(shown(), [Some(3), Some(64), None]);
        std::fs::write(directory.path().join("waiting"), "many\n").unwrap();
        assert_eq!(shown(), [None, Some(64), None]);
        gauges.show(None);
        assert!(
            engine
                .snapshot()
                .find("musefs_fuse_max_background")
                .is_none()
        );
    }
}
