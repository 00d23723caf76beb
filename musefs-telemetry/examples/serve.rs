//! Serves an engine's texts at the address that is given.
//!
//! `cargo run -p musefs-telemetry --features http --example serve -- 127.0.0.1:9100`

use std::net::TcpListener;

use musefs_telemetry::Engine;
use musefs_telemetry::http::{Limits, Shutdown, serve_blocking};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0"))?;
    let engine = Engine::new();
    engine
        .register_counter(
            "example_starts_total",
            "How often this program began to serve.",
        )?
        .increment();
    println!("http://{}/metrics", listener.local_addr()?);
    let shutdown = Shutdown::of(&listener)?;
    serve_blocking(&engine, &listener, &shutdown, Limits::default())?;
    Ok(())
}
