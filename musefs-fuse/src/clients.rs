//! Who asks: requests and bytes by the name of the process, the busiest ones by themselves and the rest together.
//!
//! An event loop only notes the number of the process that asks. Another thread finds out what that is called, as soon as a new
//! number comes, since most programs are gone after some milliseconds; then it looks once in a second at those that go on asking,
//! for a program can become another one. It sleeps while nobody asks.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::Thread;
use std::time::{Duration, Instant};

use musefs_telemetry::{
    Busiest, DescribeError, Engine, Family, Label, MetricSet, ObserveCounters, Unit, metric_set,
};
use parking_lot::{Condvar, Mutex};

mod names;
mod notes;

use notes::{MEASURES, Noted, Notes};

/// The places of the busiest, then the rest, then those without a name.
static CLIENT: Label = Label {
    name: "client",
    values: &[
        "#1", "#2", "#3", "#4", "#5", "#6", "#7", "#8", "#9", "#10", "#11", "#12", "#13", "#14",
        "#15", "#16", "other", "unknown",
    ],
};
static REQUESTS: Family = Family::counter(
    "musefs_client_requests_total",
    "Requests by the name of the process that asked: the 16 busiest names, the rest as other. A name that loses its place \
     leaves its count to other, and counts anew when it comes back. Unknown are requests of the kernel's own, and those of \
     processes that were gone before anybody looked what they are called.",
)
.with_labels(std::slice::from_ref(&CLIENT))
.with_names();
static READ_BYTES: Family = Family::counter(
    "musefs_client_read_bytes_total",
    "Bytes of the library's files that were given to processes, by their name, as for their requests.",
)
.with_unit(Unit::Bytes)
.with_labels(std::slice::from_ref(&CLIENT))
.with_names();

const REQUEST: usize = 0;
const BYTE: usize = 1;

/// How long a name that was found is true without another look.
const NAME_AGE_MAX: Duration = Duration::from_secs(1);
/// How long a process that asks nothing more is remembered.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// What is told of names.
#[derive(Clone, Debug)]
pub struct ClientMetrics {
    busiest: Busiest,
}

/// How many names there were.
#[metric_set(prefix = "musefs")]
struct NameMetrics {
    /// Names of processes that left their place among the busiest to another one.
    client_names_displaced: ObserveCounters,
}

impl ClientMetrics {
    /// Declares the families.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn declare(engine: &Engine) -> Result<Self, DescribeError> {
        let busiest = engine.busiest(&[&REQUESTS, &READ_BYTES])?;
        let names = NameMetrics::declare(engine)?;
        let counted = busiest.clone();
        names.client_names_displaced.observe(move |_| {
            let displaced = i64::try_from(counted.displaced());
            displaced.unwrap_or(i64::MAX)
        });
        Ok(Self { busiest })
    }

    /// Nobody notes who asks: nothing is told of it.
    pub fn silence(&self) {
        self.busiest.silence();
    }
}

/// What a process is called.
#[derive(Debug)]
struct Known {
    /// `None` when it was gone.
    name: Option<Arc<str>>,
    looked: Instant,
    /// When something of it was counted last.
    asked: Instant,
}

/// Who asks of one mount.
#[derive(Debug)]
pub struct Clients {
    notes: Notes,
    busiest: Busiest,
    known: Mutex<HashMap<u32, Known>>,
    thread: Thread,
    stopping: Arc<AtomicBool>,
    over: Arc<(Mutex<bool>, Condvar)>,
}

impl Clients {
    /// Starts the thread that finds names.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(metrics: &ClientMetrics) -> io::Result<Arc<Self>> {
        let (give, taken) = std::sync::mpsc::sync_channel::<Arc<Self>>(1);
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let ends = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("musefs-clients".into())
            .spawn(move || {
                if let Ok(clients) = taken.recv() {
                    clients.work();
                }
                *ends.0.lock() = true;
                ends.1.notify_all();
            })?;
        let clients = Arc::new(Self {
            notes: Notes::new(),
            busiest: metrics.busiest.clone(),
            known: Mutex::default(),
            thread: thread.thread().clone(),
            stopping: Arc::default(),
            over,
        });
        give.send(Arc::clone(&clients))
            .expect("the thread waits for it");
        Ok(clients)
    }

    /// Notes a request of `process`. Takes no lock and waits for nothing.
    pub fn asked(&self, process: u32) {
        if self.notes.add(REQUEST, process, 1) == Noted::First {
            self.thread.unpark();
        }
    }

    /// Notes bytes of a file that `process` is given. Takes no lock and waits for nothing.
    pub fn given(&self, process: u32, bytes: u64) {
        if self.notes.add(BYTE, process, bytes) == Noted::First {
            self.thread.unpark();
        }
    }

    fn work(&self) {
        while !self.stopping.load(Relaxed) {
            self.look(Instant::now());
            if self.notes.processes().next().is_some() {
                std::thread::park_timeout(NAME_AGE_MAX);
            } else {
                std::thread::park();
            }
        }
    }

    /// Finds names that are wanted and counts by them; forgets who asks nothing more.
    fn look(&self, now: Instant) {
        let wanted: Vec<u32> = {
            let known = self.known.lock();
            let is_wanted = |process: &u32, asks: bool| match known.get(process) {
                None => true,
                Some(known) => asks && now.duration_since(known.looked) >= NAME_AGE_MAX,
            };
            let processes = self.notes.processes();
            let mut wanted: Vec<u32> = processes
                .filter(|(process, asks)| is_wanted(process, *asks))
                .map(|(process, _)| process)
                .collect();
            wanted.sort_unstable();
            wanted.dedup();
            wanted
        };
        let found: Vec<_> = wanted
            .into_iter()
            .map(|process| (process, names::of_process(process).map(Arc::from)))
            .collect();
        {
            let mut known = self.known.lock();
            for (process, name) in found {
                let entry = known.entry(process).or_insert(Known {
                    name: None,
                    looked: now,
                    asked: now,
                });
                entry.looked = now;
                // What it was called before it went is what it was called when it asked.
                entry.name = name.or(entry.name.take());
            }
        }
        self.count(now);
        let mut known = self.known.lock();
        let is_idle = |known: &Known| now.saturating_duration_since(known.asked) >= IDLE_MAX;
        self.notes
            .forget(|process| known.get(&process).is_some_and(is_idle));
        known.retain(|_, known| !is_idle(known));
    }

    /// Counts what was noted of processes whose names are known. To be called before somebody reads the numbers.
    pub fn count(&self, now: Instant) {
        let mut known = self.known.lock();
        let mut sums: HashMap<u32, [u64; MEASURES]> = HashMap::new();
        self.notes.take(
            |process| known.contains_key(&process),
            |process, measure, amount| sums.entry(process).or_default()[measure] += amount,
        );
        for (process, sums) in sums {
            let Some(known) = known.get_mut(&process) else {
                continue;
            };
            known.asked = now;
            match &known.name {
                Some(name) => self.busiest.add(name, &sums),
                None => self.busiest.add_nameless(&sums),
            }
        }
        drop(known);
        let nobodys = self.notes.take_nobodys();
        if nobodys != [0; MEASURES] {
            self.busiest.add_nameless(&nobodys);
        }
    }

    /// Ends the thread; whether it ended before `deadline`.
    pub fn stop(&self, deadline: Instant) -> bool {
        self.stopping.store(true, Relaxed);
        self.thread.unpark();
        let (over, changed) = &*self.over;
        let mut over = over.lock();
        while !*over {
            if changed.wait_until(&mut over, deadline).timed_out() {
                return *over;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
