//! Memory that was freed, given back to the system at once.
//!
//! The allocator gives it back by itself, some time after it was freed. Who has just freed much does not wait for that.

/// Gives back what the allocator holds of memory that nobody uses.
#[cfg(feature = "jemalloc")]
pub fn give_back() {
    use tikv_jemalloc_ctl::{Access as _, AsName as _, arenas};

    let arenas = arenas::narenas::read().unwrap_or(0);
    for arena in 0..arenas {
        let key = format!("arena.{arena}.dirty_decay_ms\0");
        // To keep such memory for no time is to give it back now. An arena that nobody used yet has nothing and refuses.
        let Ok(before) = key.as_bytes().name().update(0_isize) else {
            continue;
        };
        if let Err(error) = key.as_bytes().name().write(before) {
            tracing::debug!("{key} stays at 0: {error}");
        }
    }
}

/// The system's allocator does as it likes.
#[cfg(not(feature = "jemalloc"))]
pub fn give_back() {}
