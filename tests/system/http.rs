//! The metrics over HTTP: the same numbers as in the mount, to whoever may have them, whatever others ask and however slowly.

mod access;
mod hostile;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;

use crate::support::audio::{self, Sound};
use crate::support::hanging::{Hanging, Stuck};
use crate::support::http::{Answer, address, ask, get, say};
use crate::support::library::{Library, ONE_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::servers::Server;
use crate::support::{eventually, has_program};

const LISTEN: [&str; 2] = ["--metrics-listen", "0"];
const OPEN_METRICS: (&str, &str) = ("Accept", "application/openmetrics-text");

fn listening(library: &Library) -> (Mount, String) {
    let mount = Mount::with(library, &LISTEN);
    let address = address(&mount);
    (mount, address)
}

#[track_caller]
fn is(answer: &Answer, status: u16, content_type: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), content_type);
}

/// The lines of samples by their names, without what only one format has.
fn samples(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    // Behind a sample of OpenMetrics may stand an exemplar.
    let lines = lines.map(|line| line.split(" # ").next().unwrap_or(line));
    lines.filter_map(|line| line.rsplit_once(' ')).collect()
}

#[test]
fn texts_are_those_of_the_mount_at_the_same_moment() {
    require_fuse!();
    let library = Library::of_two();
    let (mount, address) = listening(&library);
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    for (path, name, content_type) in [
        (
            "/metrics",
            "metrics.prom",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        ("/json", "metrics.json", "application/json"),
        ("/schema", "schema.json", "application/json"),
        ("/healthz", "health", "text/plain; charset=utf-8"),
    ] {
        let file = mount.join(".metrics").join(name);
        eventually(path, || {
            let answer = get(&address, path);
            is(&answer, 200, content_type);
            let moment: f64 = answer.header("musefs-moment").parse().unwrap();
            assert!(moment > 1.7e9, "{moment}");
            (answer.body == std::fs::read(&file).unwrap()).then_some(())
        });
    }
    let (text, open) = eventually("both formats of a moment", || {
        let text = get(&address, "/metrics");
        let open = ask(&address, "GET", "/metrics", &[OPEN_METRICS]);
        let moment = |answer: &Answer| answer.header("musefs-moment").to_owned();
        (moment(&text) == moment(&open)).then_some((text, open))
    });
    is(
        &open,
        200,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    );
    let path = library.path().join("open.om");
    std::fs::write(&path, &open.body).unwrap();
    run(musefs(["metrics", "check", "--format", "om"]).arg(&path)).done();
    let (text, open) = (text.text(), open.text());
    let (text, open) = (samples(&text), samples(&open));
    let mut same = 0;
    for (name, value) in &text {
        if let Some(other) = open.get(name) {
            let [value, other] = [value, other].map(|value| value.parse::<f64>().unwrap());
            assert!(
                (value - other).abs() <= value.abs() * 1e-12,
                "{name}: {value} and {other}"
            );
            same += 1;
        }
    }
    assert!(
        same > 250 && same * 10 > text.len() * 9,
        "{same} of {}",
        text.len()
    );
}

#[test]
fn each_path_is_answered_in_its_way_and_counted() {
    require_fuse!();
    let library = Library::of_one();
    let (mount, address) = listening(&library);
    let packed = ask(&address, "GET", "/metrics", &[("Accept-Encoding", "gzip")]);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.header("vary").contains("Accept-Encoding"));
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&*packed.body)
        .read_to_string(&mut unpacked)
        .unwrap();
    Metrics::parse(unpacked.as_bytes());
    assert!(packed.body.len() * 3 < unpacked.len());

    let head = ask(&address, "HEAD", "/metrics", &[]);
    is(&head, 200, "text/plain; version=0.0.4; charset=utf-8");
    assert!(head.body.is_empty() && head.header("content-length").parse::<u64>().unwrap() > 4096);
    assert_eq!(get(&address, "/readyz").text(), "ready\n");
    let page = get(&address, "/");
    is(&page, 200, "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'; script-src 'nonce-")
    );
    for path in ["/slow", "/inflight", "/oplog"] {
        is(&get(&address, path), 403, "text/plain; charset=utf-8");
    }
    for path in [
        "/metrics/",
        "//metrics",
        "/../metrics",
        "/config",
        "/metrics.json",
        "/%2e%2e/etc/passwd",
        "/favicon.ico",
    ] {
        assert_eq!(get(&address, path).status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        let answer = ask(&address, method, "/metrics", &[]);
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "GET, HEAD"),
            "{method}"
        );
    }
    // A page from elsewhere whose name leads here is told nothing.
    let elsewhere =
        "GET /json HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\r\n";
    assert_eq!(say(&address, elsewhere.as_bytes()).unwrap().status, 421);
    assert_eq!(
        say(&address, b"GET /healthz HTTP/1.0\r\n\r\n")
            .unwrap()
            .text(),
        "ok\n"
    );

    let metrics = mount.metrics();
    let count = |path: &str, code: &str| {
        metrics.value(&format!(
            "musefs_http_requests_total{{path=\"{path}\",code=\"{code}\"}}"
        ))
    };
    assert_eq!((count("metrics", "2xx"), count("metrics", "4xx")), (2, 7));
    assert_eq!((count("health", "2xx"), count("page", "2xx")), (2, 1));
    assert_eq!((count("operations", "4xx"), count("other", "4xx")), (3, 7));
    assert_eq!((count("json", "2xx"), count("json", "4xx")), (0, 1));
    // The two texts of metrics, ready, and health.
    assert_eq!(metrics.value("musefs_scrapes_total{transport=\"http\"}"), 4);
    eventually("that nobody is connected", || {
        (mount.metrics().value("musefs_http_connections") == 0).then_some(())
    });
}

#[test]
fn health_is_in_the_status_too() {
    require_fuse!();
    let library = Library::of_one();
    let (mount, address) = listening(&library);
    let states =
        || [get(&address, "/healthz"), get(&address, "/readyz")].map(|answer| answer.status);
    assert_eq!(states(), [200, 200]);
    let away = library.path().join("away");
    std::fs::rename(library.db(), &away).unwrap();
    eventually("a mount that fails", || {
        (states() == [503, 503]).then_some(())
    });
    assert!(
        get(&address, "/healthz")
            .text()
            .starts_with("failing: store unreadable")
    );
    assert_eq!(get(&address, "/metrics").status, 200);
    std::fs::rename(&away, library.db()).unwrap();
    eventually("a mount that is well", || {
        (states() == [200, 200]).then_some(())
    });
    drop(mount);
}

#[test]
fn prometheus_collects_it_with_and_without_a_token() {
    require_fuse!();
    require!(
        has_program("prometheus") && has_program("curl"),
        "there is no prometheus or no curl"
    );
    let libraries = [Library::of_two(), Library::of_one()];
    let token = libraries[0].path().join("token");
    std::fs::write(&token, "s3cret").unwrap();
    let token = token.to_str().unwrap();
    let open = Mount::with(&libraries[0], &LISTEN);
    let guarded = Mount::with(
        &libraries[1],
        &["--metrics-listen", "0", "--metrics-token-file", token],
    );
    let [open_at, guarded_at] = [address(&open), address(&guarded)];
    let mut config = "global:\n  scrape_interval: 500ms\nscrape_configs:\n".to_owned();
    for (name, target, more) in [
        ("open", &open_at, String::new()),
        (
            "guarded",
            &guarded_at,
            format!("    authorization: {{credentials_file: {token}}}\n"),
        ),
        ("without", &guarded_at, String::new()),
    ] {
        write!(
            config,
            "  - job_name: {name}\n{more}    static_configs: [{{targets: ['{target}']}}]\n"
        )
        .unwrap();
    }
    let data = tempfile::tempdir().unwrap();
    let prometheus = Server::prometheus_with(&config, data.path());
    let one = |question: &str| {
        let found = prometheus.query(question);
        let [only] = &*found else { return None };
        only["value"][1].as_str()?.parse::<f64>().ok()
    };
    for (job, up) in [("open", 1.0), ("guarded", 1.0), ("without", 0.0)] {
        eventually(job, || {
            (one(&format!("up{{job=\"{job}\"}}")) == Some(up)).then_some(())
        });
    }
    std::fs::read(open.join(ONE_SERVED)).unwrap();
    let question = format!(
        "sum(musefs_read_bytes_total{{job=\"open\",mount=\"{}\"}})",
        open.path().display()
    );
    let read = open.metrics().sum("musefs_read_bytes_total");
    eventually("what was read", || {
        (one(&question) == f64::from(u32::try_from(read).unwrap()).into()).then_some(())
    });
    assert_eq!(one("count(musefs_up == 1)"), Some(2.0));
    assert_eq!(
        one("sum(musefs_library_tracks{job=\"guarded\"})"),
        Some(1.0)
    );
    // Every sample was taken, in the format that it prefers.
    let wanted = ask(&open_at, "GET", "/metrics", &[OPEN_METRICS]).text();
    let scraped = one("scrape_samples_scraped{job=\"open\"}").unwrap();
    let wanted = f64::from(u32::try_from(samples(&wanted).len()).unwrap());
    assert!((scraped - wanted).abs() <= 4.0, "{scraped} of {wanted}");
    // Only OpenMetrics tells units.
    let told = prometheus.get("/api/v1/targets/metadata?metric=musefs_start_time_seconds");
    assert!(
        told.as_ref()
            .is_some_and(|told| told.contains("\"unit\":\"seconds\"")),
        "{told:?}"
    );
}

#[test]
fn it_answers_while_everything_else_hangs() {
    require_fuse!();
    let library = Library::new();
    let slow = library.path().join("slow");
    std::fs::create_dir(&slow).unwrap();
    let sound = library.path().join("long.flac");
    audio::write(&sound, Sound::LongFlac, &[("title", "Long")], false);
    let files = vec![("long.flac".to_owned(), std::fs::read(&sound).unwrap())];
    let hanging = Hanging::mount(&slow, files);
    run(musefs(["scan", "--db"]).arg(library.db()).arg(&slow)).done();
    let (mount, address) = listening(&library);
    hanging.stick_all(Stuck {
        reads: true,
        opens: true,
        flushes: true,
    });
    let served = mount.join("Unknown/Unknown/Long.flac");
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let served = served.clone();
            std::thread::spawn(move || std::fs::read(served))
        })
        .collect();
    eventually("readers that wait", || (hanging.held() > 0).then_some(()));
    let oldest = "musefs_oldest_inflight_seconds{";
    eventually("news of them", || {
        let text = get(&address, "/metrics").text();
        let mut waits = text.lines().filter(|line| line.starts_with(oldest));
        waits.any(|line| !line.ends_with(" 0")).then_some(())
    });
    assert_eq!(get(&address, "/").status, 200);
    assert!(readers.iter().any(|reader| !reader.is_finished()));
    hanging.release();
    for reader in readers {
        reader.join().unwrap().unwrap();
    }
}
