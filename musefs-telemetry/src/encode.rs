//! A snapshot as text: pure functions, in a stable order, into a string whose memory serves again.

#[cfg(feature = "stats")]
pub mod json;
#[cfg(not(feature = "stats"))]
pub use off::{json, openmetrics, plain};
#[cfg(feature = "stats")]
pub mod openmetrics;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "stats")]
pub mod plain;
pub mod prometheus;

mod labels;
#[cfg(feature = "stats")]
mod number;
#[cfg(not(feature = "stats"))]
mod off;
#[cfg(feature = "stats")]
mod prepared;

#[cfg(feature = "stats")]
pub(crate) use prepared::Prepared;
