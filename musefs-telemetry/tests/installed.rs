//! The providers of a process: silent until somebody installs some, and the same from then on.

#![cfg(feature = "stats")]

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use musefs_telemetry::event_error;
use musefs_telemetry::logging::{self, Event, Mode, Providers};

#[test]
fn what_is_said_goes_to_the_first_providers_that_are_installed() {
    event_error!(logging::engine(), "store.read.failed", reason = "early");
    let (told, heard) = channel();
    let told = Mutex::new(told);
    let pipeline = move |event: &Event<'_>| {
        let told = told.lock().unwrap();
        told.send((event.name, event.context.name())).unwrap();
    };
    let mode = Mode::Pipeline(Arc::new(pipeline));
    let providers = Providers::builder()
        .engine(mode.clone())
        .global(mode.clone())
        .admin(mode)
        .build()
        .unwrap();
    assert!(providers.install());
    assert!(!Providers::builder().build().unwrap().install());
    event_error!(logging::engine(), "store.read.failed");
    event_error!(logging::global(), "process.limit.reached");
    event_error!(logging::admin(), "mount.config.changed");
    event_error!(logging::internal(), "exporter.send.failed");
    let heard: Vec<_> = heard.try_iter().collect();
    assert_eq!(
        heard,
        [
            ("store.read.failed", "engine"),
            ("process.limit.reached", "global"),
            ("mount.config.changed", "admin"),
        ]
    );
}
