//! Memory that was freed, given back to the system at once.
//!
//! The allocator gives it back by itself, some time after it was freed. Who has just freed much does not wait for that.

/// Two at once would take the other's setting for the one to restore.
#[cfg(feature = "jemalloc")]
static GIVING: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

/// Gives back what the allocator holds of memory that nobody uses.
#[cfg(feature = "jemalloc")]
pub fn give_back() {
    use musefs_telemetry::{event_debug, logging};
    use tikv_jemalloc_ctl::{Access as _, AsName as _, arenas};

    let _alone = GIVING.lock();
    let arenas = arenas::narenas::read().unwrap_or(0);
    for arena in 0..arenas {
        let key = format!("arena.{arena}.dirty_decay_ms\0");
        // To keep such memory for no time is to give it back now. An arena that nobody used yet has nothing and refuses.
        let Ok(before) = key.as_bytes().name().update(0_isize) else {
            continue;
        };
        if let Err(error) = key.as_bytes().name().write(before) {
            event_debug!(
                logging::engine(),
                "allocator.setting.refused",
                message = %format_args!("{} stays at 0: {error}", key.trim_end_matches('\0')),
            );
        }
    }
}

/// The system's allocator does as it likes.
#[cfg(not(feature = "jemalloc"))]
pub fn give_back() {}
