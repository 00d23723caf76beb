//! The whole program through the real binary and the real kernel.
//!
//! Every test makes its own library, store and mountpoint, and takes them away again, whatever happens. Nothing waits
//! without a deadline. Without `/dev/fuse` or a tool that judges, a test says so and passes; where `CI` is set it fails.

#[macro_use]
mod support;

mod backing_changes;
mod bad_names;
mod chunks_and_items;
mod clients;
mod collectors;
mod contrib;
mod corpus;
mod counting;
mod dark_files;
mod directories;
mod edge;
mod edits;
mod fleet;
mod handlers;
mod health;
mod http;
mod http_page;
mod killed;
mod lifecycle;
mod log;
mod mapped;
mod matrix;
mod metrics_battery;
mod metrics_command;
mod metrics_directory;
mod metrics_readers;
mod mountpoint_errors;
mod mp4_files;
mod normal_user;
mod odd_files;
mod ogg_files;
mod operations;
mod otlp;
#[path = "../otlp_receiver.rs"]
mod otlp_receiver;
mod passthrough;
mod pushed;
mod read_only;
mod recipes;
mod refresh;
mod requests;
mod revalidate;
mod scan_errors;
mod scan_reads;
mod served;
mod sound;
mod stats;
mod status;
mod stopped;
mod store_errors;
mod stuck_backing;
mod system_errors;
mod tag;
mod textfile;
mod trace;
mod truth;
mod tuning;
mod usage;
mod wedge;
