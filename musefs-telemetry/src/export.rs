//! Sending what an engine counts to somebody who keeps it: on threads of their own, which hold up nobody, with a bound on
//! whatever waits.

pub mod otlp;
