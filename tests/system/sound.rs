//! What a scan says of the sound, judged by ffprobe.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::library::Library;
use crate::support::process::{musefs, run};

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/library")
}

/// Duration in seconds, sample rate in Hz, channels.
#[track_caller]
fn judged(path: &Path) -> (f64, i64, i64) {
    let entries = "format=duration:stream=sample_rate,channels";
    let mut ffprobe = Command::new("ffprobe");
    ffprobe
        .args([
            "-v",
            "error",
            "-select_streams",
            "a",
            "-of",
            "default=nk=0:nw=1",
        ])
        .args(["-show_entries", entries])
        .arg(path);
    let told = run(&mut ffprobe).done().text();
    let number = |name: &str| -> f64 {
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.parse().ok()).expect(name)
    };
    #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
    let whole = |name| number(name) as i64;
    (
        number("duration="),
        whole("sample_rate="),
        whole("channels="),
    )
}

#[test]
fn the_sound_is_what_ffprobe_says() {
    require_fuse!();
    let own = Library::new();
    let mut scan = musefs(["scan", "-q", "--db"]);
    run(scan.arg(own.db()).arg(library())).done();
    let store = own.store();
    let mut rows = store
        .prepare("SELECT CAST(path AS TEXT), duration_ms, sample_rate_hz, channels, bitrate_bps FROM tracks")
        .expect("a statement");
    let rows: Vec<(String, [Option<i64>; 4])> = rows
        .query_map([], |row| {
            let sound = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
            Ok((row.get(0)?, sound))
        })
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("rows");
    assert!(rows.len() > 10);
    for (path, [duration_ms, sample_rate_hz, channels, bitrate_bps]) in rows {
        let file = library().join(&path);
        let (seconds, rate, judged_channels) = judged(&file);
        assert_eq!(
            (sample_rate_hz, channels),
            (Some(rate), Some(judged_channels)),
            "{path}"
        );
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let ms = duration_ms.expect(&path) as f64;
        // A frame more or less: MPEG audio has no end but that of a frame.
        assert!(
            (ms - seconds * 1000.0).abs() < 120.0,
            "{path}: {ms} ms, {seconds} s"
        );
        let bits = std::fs::metadata(&file).expect(&path).len() * 8;
        #[expect(clippy::cast_precision_loss, reason = "small files")]
        let most = bits as f64 / seconds * 1.1;
        #[expect(clippy::cast_precision_loss, reason = "small files")]
        let bitrate = bitrate_bps.expect(&path) as f64;
        assert!(
            bitrate > 0.0 && bitrate < most,
            "{path}: {bitrate} bit/s of {most}"
        );
    }
}
