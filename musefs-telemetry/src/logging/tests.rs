use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::*;
use crate::clock::ManualClock;
use crate::{event_debug, event_error, event_info, event_warn};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Text {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn builder(text: &Text) -> ProvidersBuilder {
    let clock = ManualClock::default();
    // The last millisecond of a leap day.
    clock.advance(1_709_251_199_999 * 1_000_000);
    Providers::builder()
        .clock(Arc::new(clock))
        .console(text.clone())
}

#[test]
fn a_line_has_the_request_id_and_fields_that_cannot_break_it() {
    let text = Text::default();
    let providers = builder(&text).engine(Mode::ConsoleDirect).build().unwrap();
    let log = providers.engine();
    event_info!(log, "store.scan.ended");
    let _entered = Ctx::request(1, 42).enter();
    let path = String::from("a b\nERROR");
    event_error!(
        log,
        "store.refresh.failed",
        rows = 7_u64,
        left = -2,
        ratio = 0.5,
        late = true,
        path = &path,
        error = %std::io::Error::other("gone"),
        seen = ?Some("x"),
    );
    let _background = Ctx::current().triggers().enter();
    event_info!(log, "store.scan.ended");
    assert_eq!(
        text.take(),
        "2024-02-29T23:59:59.999Z INFO  engine store.scan.ended request_id=0\n\
         2024-02-29T23:59:59.999Z ERROR engine store.refresh.failed request_id=1-42 rows=7 left=-2 ratio=0.5 late=true \
         path=\"a b\\nERROR\" error=gone seen=\"Some(\\\"x\\\")\"\n\
         2024-02-29T23:59:59.999Z INFO  engine store.scan.ended request_id=0 cause=1-42\n"
    );
}

#[test]
fn values_of_events_that_go_nowhere_are_not_looked_at() {
    let text = Text::default();
    let providers = builder(&text)
        .engine(Mode::ConsoleDirect)
        .filter("warn,store.scan=debug")
        .unwrap()
        .build()
        .unwrap();
    let looked = Cell::new(0);
    let look = || {
        looked.set(looked.get() + 1);
        looked.get()
    };
    event_debug!(providers.engine(), "store.refresh.began", look = look());
    event_info!(providers.engine(), "store.refresh.ended", look = look());
    // A context that nobody set up is silent.
    event_error!(providers.global(), "store.scan.failed", look = look());
    event_error!(providers.internal(), "store.scan.failed", look = look());
    assert_eq!(looked.get(), 0);
    event_debug!(providers.engine(), "store.scan.began", look = look());
    event_warn!(providers.engine(), "pool.thread.stuck", look = look());
    assert_eq!((looked.get(), text.take().lines().count()), (2, 2));
}

#[test]
fn a_pipeline_gets_typed_events_and_what_it_says_itself_is_internal() {
    let text = Text::default();
    let own: Arc<Mutex<Option<Provider>>> = Arc::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (provider, names) = (Arc::clone(&own), Arc::clone(&seen));
    let pipeline = Mode::Pipeline(Arc::new(move |event: &Event<'_>| {
        names.lock().unwrap().push((event.name, event.context));
        let provider = provider.lock().unwrap().clone().unwrap();
        event_warn!(provider, "exporter.send.failed", of = event.name);
        assert!(event.name != "queue.push.failed", "a pipeline that panics");
    }));
    let providers = builder(&text)
        .admin(pipeline)
        .internal(InternalMode::ConsoleDirect)
        .build()
        .unwrap();
    *own.lock().unwrap() = Some(providers.admin());
    event_info!(providers.admin(), "mount.config.changed");
    assert_eq!(
        *seen.lock().unwrap(),
        [("mount.config.changed", Context::Admin)]
    );
    let said = text.take();
    assert!(
        said.contains("WARN  internal exporter.send.failed request_id=0 of=mount.config.changed"),
        "{said}"
    );
    event_info!(providers.admin(), "queue.push.failed");
    assert_eq!(providers.panics(), 1);
    text.take();
    // The panic did not leave the thread exporting.
    event_info!(providers.admin(), "mount.config.changed");
    assert_eq!(seen.lock().unwrap().len(), 3);
    Providers::exporting(|| event_info!(providers.admin(), "mount.config.changed"));
    assert_eq!(seen.lock().unwrap().len(), 3);
}

/// A console that waits before each line until it is let go.
struct Stuck(std::sync::mpsc::Receiver<()>, Text);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.recv();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_console_behind_a_queue_delays_nobody_and_what_it_misses_is_counted() {
    let text = Text::default();
    let (open, gate): (Sender<()>, _) = channel();
    let providers = builder(&text)
        .console(Stuck(gate, text.clone()))
        .engine(Mode::ConsoleAsync)
        .build()
        .unwrap();
    let log = providers.engine();
    let said = LINES_MAX as u64 * 2;
    for number in 0..said {
        event_info!(log, "pool.thread.stuck", number = number);
    }
    assert!(!providers.flush(Duration::from_millis(20)));
    let dropped = providers.lines_dropped();
    assert!(dropped >= said - LINES_MAX as u64 - 1, "{dropped}");
    drop(open);
    assert!(providers.flush(PATIENCE));
    assert_eq!(text.take().lines().count() as u64 + dropped, said);
}

/// A console on which nothing can be written.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("broken"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_nobody_can_write_are_counted() {
    let providers = Providers::builder()
        .console(Broken)
        .global(Mode::ConsoleDirect)
        .build()
        .unwrap();
    event_error!(providers.global(), "console.write.failed");
    assert_eq!(providers.lines_dropped(), 1);
    let engine = Engine::new();
    providers.declare(&engine, "shop").unwrap();
    let snapshot = engine.snapshot();
    let metric = snapshot.find("shop_log_lines_dropped_total").unwrap();
    assert_eq!(snapshot.value(metric.family(), 0), Some(1));
}

/// A console that says something itself whenever it writes.
struct Chatty(Arc<Mutex<Option<Provider>>>, Text);

impl Write for Chatty {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let provider = self.0.lock().unwrap().clone().unwrap();
        event_error!(provider, "console.write.began");
        self.1.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_console_that_says_something_itself_does_not_wait_for_itself() {
    let (own, text): (Arc<Mutex<Option<Provider>>>, _) = (Arc::default(), Text::default());
    let providers = builder(&text)
        .console(Chatty(Arc::clone(&own), text.clone()))
        .engine(Mode::ConsoleDirect)
        .internal(InternalMode::ConsoleDirect)
        .build()
        .unwrap();
    *own.lock().unwrap() = Some(providers.engine());
    event_info!(providers.engine(), "store.scan.began");
    assert_eq!(text.take().lines().count(), 1);
    assert_eq!(providers.lines_dropped(), 1);
}

#[test]
fn a_short_line_begins_with_the_message_and_nothing_in_it_breaks_it() {
    let text = Text::default();
    let short = Format::Short { coloured: false };
    let providers = builder(&text)
        .engine(Mode::ConsoleDirect)
        .format(short)
        .build()
        .unwrap();
    let path = "a\nERROR \u{1b}[2J\u{202e}b";
    event_warn!(
        providers.engine(),
        "track.read.failed",
        message = %format_args!("cannot serve {path}; scan again"),
        path = path,
        track = 7_u64,
    );
    let _entered = Ctx::request(0, 42).enter();
    event_error!(providers.engine(), "pool.thread.stuck");
    assert_eq!(
        text.take(),
        "WARN  track.read.failed: cannot serve a\\nERROR \\u{1b}[2J\\u{202e}b; scan again \
         path=\"a\\nERROR \\u{1b}[2J\\u{202e}b\" track=7\n\
         ERROR pool.thread.stuck request_id=42\n"
    );
}

#[test]
fn a_line_of_json_is_one_object_with_typed_fields() {
    let text = Text::default();
    let providers = builder(&text)
        .admin(Mode::ConsoleDirect)
        .format(Format::Json)
        .build()
        .unwrap();
    let _entered = Ctx::request(0, u64::MAX).enter();
    event_info!(
        providers.admin(),
        "mount.config.changed",
        message = "changed\nonce",
        rows = 7_u64,
        left = -2,
        ratio = 0.5,
        late = true,
        nothing = f64::NAN,
        path = "a \"b\"\u{2028}\u{85}",
        seen = ?Some(1),
    );
    let said = text.take();
    assert_eq!(said.lines().count(), 1);
    assert!(
        !said
            .trim_end()
            .contains(|c: char| c.is_control() || c == '\u{2028}')
    );
    let line: serde_json::Value = serde_json::from_str(&said).unwrap();
    let expected = serde_json::json!({
        "time": "2024-02-29T23:59:59.999Z", "level": "info", "context": "admin", "event": "mount.config.changed",
        "message": "changed\nonce", "request_id": "18446744073709551615",
        "fields": {"rows": 7, "left": -2, "ratio": 0.5, "late": true, "nothing": "NaN", "path": "a \"b\"\u{2028}\u{85}",
            "seen": "Some(1)"},
    });
    assert_eq!(line, expected);
}

#[test]
fn events_that_come_too_fast_are_left_out_and_counted_in_the_next_line() {
    let text = Text::default();
    let clock = Arc::new(ManualClock::default());
    let providers = Providers::builder()
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .console(text.clone())
        .format(Format::Short { coloured: false })
        .engine(Mode::ConsoleDirect)
        .filter("debug")
        .unwrap()
        .limit(Duration::from_secs(1), &["path"])
        .build()
        .unwrap();
    let log = providers.engine();
    for _ in 0..1_000 {
        event_error!(log, "store.read.failed", rows = 1_u64);
        event_error!(log, "track.read.failed", path = "a");
        event_error!(log, "track.read.failed", path = "b");
    }
    clock.advance(1_000_000_000);
    event_error!(log, "store.read.failed", rows = 2_u64);
    assert_eq!(
        text.take(),
        "ERROR store.read.failed rows=1\nERROR track.read.failed path=a\nERROR track.read.failed path=b\n\
         ERROR store.read.failed rows=2 suppressed=999\n"
    );
    // Whoever looks for a fault gets every line.
    for _ in 0..3 {
        event_debug!(log, "store.read.began");
    }
    assert_eq!(text.take().lines().count(), 3);
}

#[test]
fn what_other_libraries_say_is_filtered_by_its_target() {
    let text = Text::default();
    let providers = builder(&text)
        .global(Mode::ConsoleDirect)
        .filter("warn,fuser=error,fuser::session=info")
        .unwrap()
        .build()
        .unwrap();
    let log = providers.global();
    let hears = |level, target| log.hears(level, target);
    assert!(hears(Level::Warn, "lofty::mpeg") && !hears(Level::Info, "lofty::mpeg"));
    assert!(hears(Level::Error, "fuser::reply") && !hears(Level::Warn, "fuser::reply"));
    assert!(hears(Level::Info, "fuser::session") && !hears(Level::Debug, "fuser::session"));
    assert_eq!(providers.most(), Some(Level::Info));
    assert!(
        !providers.engine().hears(Level::Error, "lofty"),
        "it is silent"
    );
}
