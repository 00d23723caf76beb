//! A snapshot as text: pure functions, in a stable order.

pub mod prometheus;
