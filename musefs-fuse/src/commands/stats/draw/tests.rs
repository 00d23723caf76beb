use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

fn view() -> View {
    let rate = |name: &str, per_second| Rate {
        name: name.into(),
        per_second,
    };
    View {
        mount: Some("/mnt/music".into()),
        version: Some("0.1.0".into()),
        health: Some("degraded".into()),
        uptime_seconds: Some(7_200.0),
        interval_seconds: 2.0,
        bytes_per_second: vec![rate("synthesized_header", 1e6), rate("backing", 800e6)],
        operations: vec![
            Operation {
                name: "read".into(),
                per_second: 6_400.0,
                failed_per_second: 3.0,
                median_seconds: Some(0.0002),
                p99_seconds: Some(0.012),
                oldest_seconds: Some(1.5),
            },
            Operation {
                name: "statfs".into(),
                ..Operation::default()
            },
        ],
        header_cache_hits: Some(0.98),
        clients_per_second: vec![rate("mpd", 6_000.0), rate("cat", 400.0)],
        reads_inflight: Some([3.0, 1024.0]),
        tracks: Some(50_000.0),
        tracks_dark: Some(2.0),
        ..View::default()
    }
}

/// The lines of a terminal of that size.
fn drawn(width: u16, height: u16, screen: &Screen<'_>) -> Vec<String> {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(drawn) = terminal.draw(|frame| draw(frame, screen));
    drawn
        .buffer
        .content()
        .chunks(width.into())
        .map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect())
        .collect()
}

fn screen<'a>(view: Option<&'a View>, trouble: Option<&'a str>) -> Screen<'a> {
    Screen {
        source: "/mnt/music",
        view,
        history: &[1, 2, 3],
        trouble,
        is_away: trouble.is_some(),
        keys: Some("q ends"),
    }
}

#[track_caller]
fn has(lines: &[String], words: &[&str]) {
    let found = lines
        .iter()
        .any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no line with {words:?} in\n{}", lines.join("\n"));
}

#[test]
fn everything_is_on_a_small_terminal() {
    let view = view();
    let lines = drawn(80, 24, &screen(Some(&view), None));
    has(&lines, &["/mnt/music", "degraded", "up 2 hours", "0.1.0"]);
    has(&lines, &["all", "801.00 MB/s"]);
    has(&lines, &["backing files", "800.00 MB/s"]);
    has(&lines, &["reads", "3 of 1,024"]);
    has(&lines, &["oldest waiting", "read 1.5 s"]);
    has(&lines, &["read", "6400", "3.0", "200 µs", "12 ms"]);
    has(&lines, &["statfs", "–"]);
    has(&lines, &["tracks, of these dark", "50,000, 2"]);
    has(&lines, &["header cache, read ahead", "98 %, –"]);
    has(&lines, &["mpd", "6000/s"]);
    has(&lines, &["q ends"]);
}

#[test]
fn trouble_is_told_beside_the_last_numbers_and_without_any() {
    let view = view();
    let trouble = "no answer for 5 s";
    let lines = drawn(80, 24, &screen(Some(&view), Some(trouble)));
    has(&lines, &[trouble]);
    has(&lines, &["/mnt/music", "no answer"]);
    assert!(lines.iter().all(|line| !line.contains("degraded")));
    has(&lines, &["mpd"]);
    has(&drawn(80, 24, &screen(None, Some(trouble))), &[trouble]);
}

#[test]
fn a_mount_that_does_not_note_who_asks_is_not_said_to_be_asked_by_nobody() {
    let mut view = view();
    view.clients_per_second.clear();
    has(
        &drawn(80, 24, &screen(Some(&view), None)),
        &["not noted by this mount"],
    );
    view.notes_clients = true;
    has(&drawn(80, 24, &screen(Some(&view), None)), &["nobody"]);
}

#[test]
fn no_size_of_terminal_is_too_small_or_too_large() {
    let view = view();
    for (width, height) in [(1, 1), (10, 3), (40, 12), (80, 24), (200, 60), (400, 200)] {
        let lines = drawn(width, height, &screen(Some(&view), None));
        assert_eq!(lines.len(), usize::from(height));
    }
}
