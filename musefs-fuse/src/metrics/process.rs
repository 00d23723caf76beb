//! What the process takes of the system, as the system tells. Plain `process_*` names would be taken for those of whoever
//! collects this mount's metrics.

use musefs_telemetry::{Gauge, ObserveCounters, metric_set};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

/// What the process takes of the system.
#[metric_set(prefix = "musefs_process")]
#[derive(Clone, Debug)]
pub struct ProcessMetrics {
    /// CPU time that the process has used, for itself and in the kernel.
    #[metric(unit = "seconds")]
    cpu: ObserveCounters,
    /// Memory of the process that is in RAM.
    #[metric(unit = "bytes")]
    resident_memory: Gauge,
    /// Descriptors that the process has open.
    open_fds: Gauge,
    /// Descriptors that the process may have open.
    max_fds: Gauge,
    /// Threads of the process.
    threads: Gauge,
}

impl ProcessMetrics {
    /// Has the counters look things up by themselves.
    pub(super) fn observe(&self) {
        self.cpu.observe(|_| cpu_ns().unwrap_or(0));
    }

    /// Shows what is so at this moment. What cannot be found out is not shown.
    pub(super) fn show(&self) {
        // The kernel makes the texts below when they are read; no disk is asked.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status_number(&status, "VmRSS:").map(|kib| kib * 1024);
        set(&self.resident_memory, resident);
        set(&self.threads, status_number(&status, "Threads:"));
        set(&self.open_fds, open_fds());
        let max = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _)| soft);
        set(&self.max_fds, max.ok());
    }
}

pub(super) fn set(gauge: &Gauge, value: Option<u64>) {
    match value.and_then(|value| i64::try_from(value).ok()) {
        Some(value) => gauge.set(value),
        None => gauge.clear(),
    }
}

fn cpu_ns() -> Option<i64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let microseconds = [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Some(microseconds.iter().sum::<i64>() * 1_000)
}

/// The number behind `name` in the text of `/proc/PID/status`.
fn status_number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_fds() -> Option<u64> {
    let listed = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is that of the listing.
    u64::try_from(listed).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use musefs_telemetry::{Engine, MetricSet as _};

    use super::*;

    #[test]
    fn what_the_process_opens_and_uses_shows() {
        let engine = Engine::new();
        let metrics = ProcessMetrics::declare(&engine).unwrap();
        metrics.observe();
        let value = |name: &str| {
            metrics.show();
            let snapshot = engine.snapshot();
            let family = snapshot.find(name).unwrap().family();
            snapshot.value(family, 0).unwrap()
        };
        let before = value("musefs_process_cpu_seconds_total");
        while value("musefs_process_cpu_seconds_total") == before {
            std::hint::spin_loop();
        }
        let files: Vec<_> = (0..500)
            .map(|_| std::fs::File::open("/dev/null").unwrap())
            .collect();
        let fds = value("musefs_process_open_fds");
        assert!(fds >= 500 && fds <= value("musefs_process_max_fds"));
        drop(files);
        let thread = std::thread::spawn(std::thread::park);
        assert!(value("musefs_process_threads") >= 2);
        thread.thread().unpark();
        thread.join().unwrap();
        assert!(value("musefs_process_resident_memory_bytes") > 100_000);
    }
}
