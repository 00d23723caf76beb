//! Killed at any moment, by a signal that leaves no time for anything, no command leaves a store that is damaged, that lost
//! what was committed, or that holds half of an edit.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::support::SOON;
use crate::support::audio::Sound;
use crate::support::library::{Library, ONE};
use crate::support::process::{Running, musefs, run};

/// Processes of each command that are killed before their end.
const KILLS: [usize; 3] = [18, 16, 16];
/// How often that is tried: some are through before.
const TRIES_MAX: usize = 400;
/// Files that each scan finds new, and each revalidation changed.
const FILES: usize = 40;

struct Killer {
    library: Library,
    sample: PathBuf,
    files: usize,
    random: RandomState,
    draws: u64,
}

/// What is in the store.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    tracks: usize,
    kept_edits: usize,
    rounds: Vec<String>,
}

impl Killer {
    fn new() -> Self {
        let library = Library::new();
        let sample = library.path().join("sample.flac");
        crate::support::audio::write(&sample, Sound::TinyFlac, ONE, false);
        Self {
            library,
            sample,
            files: 0,
            random: RandomState::new(),
            draws: 0,
        }
    }

    fn add_files(&mut self) {
        for _ in 0..FILES {
            let path = self.library.music().join(format!("{:05}.flac", self.files));
            std::fs::copy(&self.sample, path).expect("a library is writable");
            self.files += 1;
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = musefs([words[0], "--db"]);
        command.arg(self.library.db()).args(&words[1..]);
        if words[0] == "scan" {
            command.arg(self.library.music());
        }
        command
    }

    /// Starts a command and kills it at a moment of no more than `usual` after its start; whether it was still running.
    fn kill(&mut self, command: &mut Command, usual: Duration) -> bool {
        self.draws += 1;
        let micros = u64::try_from(usual.as_micros())
            .expect("a short time")
            .max(1);
        let delay = self.random.hash_one(self.draws) % micros;
        let mut running = Running::start(command);
        std::thread::sleep(Duration::from_micros(delay));
        running.child.kill().expect("a signal can be sent");
        let status = running.wait(SOON).expect("nothing survives it");
        let outcome = running.outcome(Some(status));
        assert!(matches!(outcome.code, None | Some(0)), "{outcome:?}");
        outcome.code.is_none()
    }

    /// That the store is whole; what it holds. `None` where there is none yet.
    fn look(&self) -> Option<Held> {
        let is_made = self
            .library
            .db()
            .metadata()
            .is_ok_and(|file| file.len() > 0);
        if !is_made {
            return None;
        }
        let status = run(&mut self.command(&["status"]));
        if status.code == Some(1) {
            // Killed before the first transaction: a file without a table, which the next scan fills.
            status.refused(1, &["is empty"]);
            return None;
        }
        status.done();
        let store = self.library.store();
        let number = |sql: &str| -> i64 {
            store
                .query_row(sql, [], |row| row.get(0))
                .unwrap_or_else(|error| panic!("{sql}: {error}"))
        };
        let check: String = store
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("a verdict");
        assert_eq!(check, "ok");
        for nothing in [
            "SELECT count(*) FROM pragma_foreign_key_check",
            "SELECT own FROM writer",
            "SELECT count(*) FROM tags WHERE track_id NOT IN (SELECT id FROM tracks)",
            "SELECT count(*) FROM tracks WHERE change_seq > (SELECT value FROM sequence)",
            "SELECT count(*) FROM tombstones WHERE change_seq > (SELECT value FROM sequence)",
            // The files are alike: their tags are all there, or their rows are not.
            "SELECT count(DISTINCT tags) > 1 FROM (SELECT count(tags.key) AS tags FROM tracks
             LEFT JOIN tags ON track_id = tracks.id GROUP BY tracks.id)",
            "SELECT count(*) FROM tracks WHERE id NOT IN (SELECT track_id FROM tags WHERE key = 'title')",
        ] {
            assert_eq!(number(nothing), 0, "{nothing}");
        }
        let mut statement = store
            .prepare("SELECT DISTINCT group_concat(value, '|') FROM tags WHERE key IN ('comment', 'mood', 'work') GROUP BY track_id")
            .unwrap();
        let rounds = statement.query_map([], |row| row.get(0)).unwrap();
        Some(Held {
            tracks: usize::try_from(number("SELECT count(*) FROM tracks")).unwrap(),
            kept_edits: usize::try_from(number(
                "SELECT count(*) FROM tags WHERE key = 'label' AND value = 'Kept'",
            ))
            .unwrap(),
            rounds: rounds.map(Result::unwrap).collect(),
        })
    }

    /// How long a command takes that nobody kills.
    fn usual(&self, words: &[&str]) -> Duration {
        let started = Instant::now();
        run(&mut self.command(words)).done();
        started.elapsed()
    }

    /// Kills what `round` starts until that often it was still running.
    fn until(
        &mut self,
        kills: usize,
        usual: Duration,
        mut round: impl FnMut(&mut Self, Duration) -> bool,
    ) {
        let mut killed = 0;
        for _ in 0..TRIES_MAX {
            killed += usize::from(round(self, usual));
            if killed == kills {
                return;
            }
        }
        panic!("only {killed} of {kills} were killed before their end");
    }
}

#[test]
fn no_command_that_is_killed_harms_the_store() {
    require_fuse!();
    let mut killer = Killer::new();
    killer.add_files();
    let usual = killer.usual(&["scan"]);
    for suffix in ["", "-wal", "-shm"] {
        let mut path = killer.library.db().into_os_string();
        path.push(suffix);
        std::fs::remove_file(path).ok();
    }

    let mut tracks = 0;
    killer.until(KILLS[0], usual, |killer, usual| {
        let mut scan = killer.command(&["scan", "--quiet"]);
        let was_killed = killer.kill(&mut scan, usual);
        let now = killer.look().map_or(0, |held| held.tracks);
        assert!(
            now >= tracks,
            "{tracks} tracks were committed, {now} are left"
        );
        tracks = now;
        if !was_killed {
            assert_eq!(tracks, killer.files, "it said that it was done");
            killer.add_files();
        }
        was_killed
    });
    killer.library.scan();
    let held = killer.look().expect("a store");
    assert_eq!(held.tracks, killer.files);

    run(&mut killer.command(&["tag", "--all", "set", "comment=0", "mood=0", "label=Kept"])).done();
    let usual = killer.usual(&["tag", "--all", "set", "work=0"]);
    let (mut round, mut committed) = (0, 0);
    killer.until(KILLS[1], usual, |killer, usual| {
        round += 1;
        let pairs = ["comment", "mood", "work"].map(|key| format!("{key}={round}"));
        let mut tag = killer.command(&["tag", "--all", "set", &pairs[0], &pairs[1], &pairs[2]]);
        let was_killed = killer.kill(&mut tag, usual);
        let rounds = killer.look().expect("a store").rounds;
        let [shown] = &rounds[..] else {
            panic!("half of an edit: {rounds:?}");
        };
        let is_new = *shown == format!("{round}|{round}|{round}");
        let is_old = *shown == format!("{committed}|{committed}|{committed}");
        assert!(
            is_new || (is_old && was_killed),
            "{shown} after {committed} and {round}"
        );
        if is_new {
            committed = round;
        }
        was_killed
    });

    let before = killer.look().expect("a store");
    assert_eq!(before.kept_edits, killer.files);
    let usual = killer.usual(&["revalidate"]);
    let mut gone = 0;
    killer.until(KILLS[2], usual, |killer, usual| {
        for index in gone..gone + FILES {
            let path = killer.library.music().join(format!("{index:05}.flac"));
            if let Ok(file) = std::fs::File::open(path) {
                file.set_modified(SystemTime::now()).unwrap();
            }
        }
        let path = killer.library.music().join(format!("{gone:05}.flac"));
        std::fs::remove_file(path).ok();
        let mut command = killer.command(&["revalidate", "--prune"]);
        let was_killed = killer.kill(&mut command, usual);
        let held = killer.look().expect("a store");
        let left = killer.files - gone;
        assert!(held.tracks == left || held.tracks == left - 1, "{held:?}");
        assert_eq!(
            held.kept_edits, held.tracks,
            "edits of tracks that are there"
        );
        if held.tracks < left {
            gone += 1;
        }
        was_killed
    });
    run(&mut killer.command(&["revalidate", "--prune"])).done();
    killer.library.scan();
    let held = killer.look().expect("a store");
    assert_eq!(held.kept_edits, held.tracks);
    assert_eq!(held.rounds, before.rounds);
}
