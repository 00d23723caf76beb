//! musefs without a kernel: what is served, under which name, and where its bytes come from.
//!
//! A served file is data (a [`layout::Layout`]). Making a layout is pure, reading it is one short loop; the kernel, `SQLite`
//! and the terminal are edges around it. Nothing in this crate needs a mount.

pub mod formats;
pub mod ids;
pub mod layout;
pub mod metrics;
pub mod mounts;
pub mod names;
pub mod phases;
pub mod refresh;
pub mod scan;
pub mod serve;
pub mod stop;
pub mod store;
pub mod telemetry;
pub mod template;
pub mod tree;

#[cfg(test)]
mod testing;

#[cfg(test)]
#[path = "../../tests/kept.rs"]
mod kept;
