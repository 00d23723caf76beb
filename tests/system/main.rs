//! The whole program through the real binary and the real kernel.
//!
//! Every test makes its own library, store and mountpoint, and takes them away again, whatever happens. Nothing waits
//! without a deadline. Without `/dev/fuse` or a tool that judges, a test says so and passes; where `CI` is set it fails.

#[macro_use]
mod support;

mod bad_names;
mod counting;
mod dark_files;
mod directories;
mod lifecycle;
mod metrics_directory;
mod metrics_readers;
mod mountpoint_errors;
mod normal_user;
mod ogg_files;
mod read_only;
mod refresh;
mod scan_errors;
mod served;
mod store_errors;
mod stuck_backing;
mod system_errors;
mod usage;
