use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// Looks that were begun and wait for the test to answer.
type Begun = Rc<RefCell<Vec<(PathBuf, Answer)>>>;

fn watched() -> (Watched<impl FnMut(&Path, Answer) -> io::Result<()>>, Begun) {
    let begun = Begun::default();
    let starts = Rc::clone(&begun);
    let watched = Watched::new(move |path: &Path, answer| {
        starts.borrow_mut().push((path.to_path_buf(), answer));
        Ok(())
    });
    (watched, begun)
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

fn space(device: u64, free_bytes: u64) -> Space {
    Space { device, free_bytes }
}

fn answer(begun: &Begun, result: io::Result<Space>) {
    let (_, answer) = begun.borrow_mut().remove(0);
    answer.set(result).unwrap();
}

fn names(begun: &Begun) -> Vec<PathBuf> {
    begun
        .borrow()
        .iter()
        .map(|(path, _)| path.clone())
        .collect()
}

#[test]
fn a_look_comes_at_once_and_again_when_it_is_time() {
    let (mut watched, begun) = watched();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let roots = || paths(&["/a", "/b"]);
    assert_eq!(watched.round(at(0), roots(), false), ROUND);
    assert_eq!(names(&begun), roots());
    assert_eq!(watched.seen().reachable, [None, None]);
    answer(&begun, Ok(space(1, 70)));
    answer(&begun, Err(io::ErrorKind::NotFound.into()));
    watched.round(at(1), roots(), false);
    let seen = watched.seen();
    assert_eq!(seen.reachable, [Some(true), Some(false)]);
    assert_eq!(seen.free_bytes, 70);
    watched.round(at(5), roots(), false);
    assert!(begun.borrow().is_empty());
    watched.round(at(6), roots(), false);
    assert_eq!(names(&begun), paths(&["/b"]));
    answer(&begun, Ok(space(1, 80)));
    watched.round(at(7), roots(), false);
    assert_eq!(watched.seen().reachable, [Some(true), Some(true)]);
    assert_eq!(watched.seen().free_bytes, 70, "one filesystem counts once");
    watched.round(at(31), roots(), false);
    assert_eq!(names(&begun), paths(&["/a"]));
}

#[test]
fn who_hangs_cannot_be_reached_and_is_asked_once() {
    let (mut watched, begun) = watched();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let roots = || paths(&["/hangs"]);
    watched.round(at(0), roots(), false);
    watched.round(at(4), roots(), false);
    assert_eq!(watched.seen().reachable, [None]);
    for seconds in [5, 100, 1000] {
        watched.round(at(seconds), roots(), true);
        assert_eq!(watched.seen().reachable, [Some(false)]);
        assert_eq!(begun.borrow().len(), 1);
    }
    answer(&begun, Ok(space(1, 5)));
    watched.round(at(1001), roots(), false);
    assert_eq!(watched.seen().reachable, [Some(true)]);
}

#[test]
fn what_hangs_is_remembered_when_it_is_no_root_any_more_and_known_when_it_is_one_again() {
    let (mut watched, begun) = watched();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    watched.round(at(0), paths(&["/hangs", "/b"]), false);
    watched.round(at(5), paths(&["/b"]), false);
    assert_eq!(watched.seen().reachable, [Some(false)]);
    watched.round(at(6), paths(&["/new", "/hangs"]), false);
    assert_eq!(names(&begun), paths(&["/hangs", "/b", "/new"]));
    assert_eq!(watched.seen().reachable, [None, Some(false)]);
    answer(&begun, Ok(space(1, 5)));
    answer(&begun, Ok(space(2, 5)));
    watched.round(at(7), paths(&["/new", "/hangs"]), false);
    assert_eq!(watched.seen().reachable, [None, Some(true)]);
    assert_eq!(watched.roots.len(), 2, "nothing hangs there any more");
}

#[test]
fn in_doubt_all_are_looked_at_but_not_again_and_again() {
    let (mut watched, begun) = watched();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let roots = || paths(&["/a"]);
    watched.round(at(0), roots(), false);
    answer(&begun, Ok(space(1, 5)));
    watched.round(start + ROUND / 2, roots(), true);
    assert!(begun.borrow().is_empty(), "it was seen just now");
    watched.round(at(1), roots(), false);
    assert_eq!(begun.borrow().len(), 1, "the doubt stays");
    answer(&begun, Ok(space(1, 5)));
    watched.round(at(4), roots(), true);
    assert_eq!(begun.borrow().len(), 1);
}

#[test]
fn so_many_threads_look_and_no_more() {
    let (mut watched, begun) = watched();
    let now = Instant::now();
    let many: Vec<PathBuf> = (0..2 * LOOKS_MAX)
        .map(|number| PathBuf::from(format!("/{number}")))
        .collect();
    watched.round(now, many.clone(), false);
    assert_eq!(begun.borrow().len(), LOOKS_MAX);
    answer(&begun, Ok(space(1, 5)));
    watched.round(now, many, false);
    assert_eq!(begun.borrow().len(), LOOKS_MAX);
    assert_eq!(names(&begun).last().unwrap(), Path::new("/16"));
}
