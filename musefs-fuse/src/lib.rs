//! The edge of musefs: the command line, the kernel's requests, and the metrics that sit inside the mount.

pub mod adapter;
pub mod allocator;
pub mod cli;
pub mod clients;
pub mod commands;
pub mod control;
pub mod dispatch;
pub mod errno;
pub mod files;
pub mod health;
pub mod http;
pub mod invalidate;
pub mod log;
pub mod metrics;
pub mod metrics_files;
pub mod mountpoint;
pub mod passthrough;
pub mod refreshing;
pub mod roots;
pub mod textfile;
pub mod tuning;

#[cfg(test)]
#[path = "../../tests/kept.rs"]
mod kept;
