use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::metrics::ResolveCause;
use crate::serve::{Found, Musefs, OpenFile, Opening, Step};
use crate::testing::Library;

/// A library of one file, served, and that file.
fn served() -> (Library, Musefs, Inode) {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, _) = library.serve();
    let mut at = musefs.getattr(Inode::ROOT).unwrap();
    for name in ["Artist", "Album", "One.flac"] {
        at = musefs.lookup(at.inode, name.as_bytes()).unwrap();
    }
    let inode = at.inode;
    (library, musefs, inode)
}

/// The next step of `opening` for request `number`, which is not the last.
fn next(musefs: &Musefs, number: u64, opening: Opening) -> Opening {
    let _entered = Ctx::request(1, number).enter();
    match musefs.open_step(opening).unwrap() {
        Step::Next(opening) => opening,
        Step::Done(open) => panic!("{open:?}"),
    }
}

fn done(musefs: &Musefs, mut opening: Opening) -> OpenFile {
    loop {
        match musefs.open_step(opening).unwrap() {
            Step::Next(next) => opening = next,
            Step::Done(open) => return open,
        }
    }
}

/// How often a flight said that it has landed.
fn landings(opening: &Opening) -> Arc<AtomicUsize> {
    let landings = Arc::new(AtomicUsize::new(0));
    let landed = Arc::clone(&landings);
    let flight = opening.awaits().expect("another one does the work");
    flight.when_landed(Box::new(move || {
        landed.fetch_add(1, Relaxed);
    }));
    landings
}

fn counted(musefs: &Musefs) -> [u64; 4] {
    let metrics = &musefs.metrics;
    [
        metrics.resolves.value(ResolveCause::Open),
        metrics.resolves_coalesced.value(),
        metrics.cache_header_misses.value(),
        metrics.cache_header_hits.value(),
    ]
}

#[test]
fn who_opens_what_is_just_being_resolved_gets_what_the_first_one_found() {
    let (_library, musefs, inode) = served();
    let begin = || musefs.begin_open(inode).unwrap();
    let leader = next(&musefs, 7, begin());
    assert!(leader.awaits().is_none());
    let follower = next(&musefs, 8, begin());
    let landings = landings(&follower);
    assert_eq!(landings.load(Relaxed), 0);
    assert_eq!(done(&musefs, leader).found, Found::Resolved);
    assert_eq!(landings.load(Relaxed), 1);
    let open = done(&musefs, follower);
    assert_eq!(open.found, Found::Shared(Ctx::request(1, 7)));
    assert_eq!(musefs.handle(open.handle).unwrap().inode, inode);
    assert_eq!(counted(&musefs), [1, 1, 1, 0]);
    assert_eq!(done(&musefs, begin()).found, Found::Known);
    assert!(musefs.flights.0.lock().is_empty());
}

#[test]
fn who_follows_one_that_fails_or_is_given_up_does_the_work_alone() {
    let (library, musefs, inode) = served();
    let begin = || musefs.begin_open(inode).unwrap();
    let leader = next(&musefs, 7, begin());
    let followers = [8, 9].map(|number| next(&musefs, number, begin()));
    let heard = followers.each_ref().map(landings);
    drop(leader);
    assert!(heard.iter().all(|landings| landings.load(Relaxed) == 1));
    for follower in followers {
        assert_eq!(done(&musefs, follower).found, Found::Resolved);
    }
    assert_eq!(counted(&musefs)[..2], [2, 0]);

    std::fs::remove_file(library.music().join("a.flac")).unwrap();
    musefs.cache.remove(inode);
    let leader = next(&musefs, 10, begin());
    let follower = next(&musefs, 11, begin());
    let heard = landings(&follower);
    assert!(musefs.open_step(leader).is_err());
    assert_eq!(heard.load(Relaxed), 1);
    assert_eq!(
        landings(&follower).load(Relaxed),
        1,
        "it has landed already"
    );
    let alone = next(&musefs, 11, next(&musefs, 11, follower));
    assert!(musefs.open_step(alone).is_err());
    assert!(musefs.flights.0.lock().is_empty());
}
