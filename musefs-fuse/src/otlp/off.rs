//! A build that counts nothing has nothing to send.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use musefs_telemetry::{DescribeError, Engine};

use crate::cli::OtlpArgs;
use crate::metrics_files::MetricsFiles;

/// Nothing.
#[derive(Clone, Debug)]
pub struct Counts;

impl Counts {
    /// Declares nothing.
    ///
    /// # Errors
    /// Never.
    pub fn declare(_: &Engine) -> Result<Self, DescribeError> {
        Ok(Self)
    }
}

/// A collector that cannot be had.
#[derive(Clone, Debug)]
pub enum Wanted {}

/// Why a flag makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("--otlp-endpoint: this musefs was built to count nothing, so there is nothing to send")]
pub struct WrongFlag;

impl Wanted {
    /// `None`.
    ///
    /// # Errors
    /// When `args` ask for something.
    pub fn of(args: &OtlpArgs) -> Result<Option<Self>, WrongFlag> {
        match args.otlp_endpoint {
            None => Ok(None),
            Some(_) => Err(WrongFlag),
        }
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// Never.
    pub fn start(self, _: &OtlpArgs, _: &Arc<MetricsFiles>, _: Counts) -> io::Result<Outlet> {
        match self {}
    }
}

/// No thread.
#[derive(Debug)]
pub enum Outlet {}

impl Outlet {
    /// Cannot be called.
    pub fn stop(&self, _: Instant) -> bool {
        match *self {}
    }
}
