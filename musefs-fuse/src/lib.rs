//! The edge of musefs: the command line, the kernel's requests, and the metrics that sit inside the mount.

pub mod dispatch;

pub mod metrics;
