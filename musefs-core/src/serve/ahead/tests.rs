use super::super::Attempt;
use super::*;
use crate::testing::Library;

fn trails() -> (
    Trails,
    impl Fn(&Trails, u32) -> Option<std::ops::Range<u32>>,
) {
    let note = |trails: &Trails, place| {
        let run = trails.note(Inode(9), place);
        trails.is_running.store(false, Relaxed);
        run
    };
    (Trails::default(), note)
}

#[test]
fn who_goes_along_has_ever_more_resolved_up_to_a_bound() {
    let (trails, note) = trails();
    assert_eq!(note(&trails, 3), None, "the first may be the only one");
    assert_eq!(note(&trails, 3), None, "again");
    assert_eq!(note(&trails, 4), Some(5..9));
    assert_eq!(note(&trails, 5), None, "there are enough");
    assert_eq!(note(&trails, 6), Some(9..17));
    let runs: Vec<_> = (7..100).filter_map(|place| note(&trails, place)).collect();
    assert_eq!(runs[..3], [17..33, 33..49, 49..65]);
    assert_eq!(note(&trails, 50), None, "somewhere else");
    assert_eq!(note(&trails, 51), Some(52..56));
}

#[test]
fn the_first_file_of_a_directory_is_seldom_the_only_one() {
    let (trails, note) = trails();
    assert_eq!(note(&trails, 0), Some(1..5));
    assert_eq!(note(&trails, 9), None);
    assert_eq!(note(&trails, 0), None, "somebody jumps about");
}

#[test]
fn one_run_is_under_way_at_a_time_and_few_directories_are_known() {
    let trails = Trails::default();
    assert_eq!(trails.note(Inode(1), 0), Some(1..5));
    assert_eq!(trails.note(Inode(2), 0), None, "one is under way");
    trails.is_running.store(false, Relaxed);
    assert_eq!(trails.note(Inode(2), 1), Some(2..6));
    for directory in 10..100 {
        trails.note(Inode(directory), 7);
    }
    assert_eq!(trails.trails.lock().len(), TRAILS_MAX);
}

/// Does what a mount does after an open of `inode`.
fn go_ahead(musefs: &Musefs, inode: Inode) {
    let mut next = musefs.opened(inode);
    while let Some(ahead) = next {
        next = musefs.ahead_step(ahead);
    }
}

/// The files of a library with ten of them, in the order of their names.
fn ten_files() -> (Library, Musefs, Vec<Inode>) {
    let library = Library::new();
    for number in 0..10 {
        library.add(&format!("{number}.flac"), &format!("Title {number}"));
    }
    library.scan();
    let (musefs, _) = library.serve();
    let tree = musefs.tree();
    let album = ["Artist", "Album"]
        .iter()
        .fold(crate::tree::NodeIndex::ROOT, |at, name| {
            tree.lookup(at, name.as_bytes()).unwrap()
        });
    let files = tree.children(album).map(|file| tree.node(file).inode);
    let files = files.collect();
    (library, musefs, files)
}

#[test]
fn the_next_files_open_without_a_statement_and_without_opening_anything() {
    let (_library, musefs, files) = ten_files();
    musefs.open(files[0]).unwrap();
    go_ahead(&musefs, files[0]);
    if musefs.metrics.resolves.value(ResolveCause::Ahead) == 0 {
        eprintln!("the temporary directory is on a filesystem that cannot read without waiting");
        return;
    }
    let statements = musefs.stores.take().statements();
    let before = musefs.metrics.snapshot();
    for inode in &files[1..5] {
        assert!(matches!(musefs.open_cached(*inode), Attempt::Done(Ok(_))));
    }
    let after = musefs.metrics.snapshot();
    assert_eq!(musefs.stores.take().statements(), statements);
    assert_eq!((after.opens, after.preads), (before.opens, before.preads));
    assert_eq!(musefs.metrics.backing_reopens.value(), 4);
    assert!(matches!(musefs.open_cached(files[5]), Attempt::WouldBlock));
    assert_eq!(musefs.metrics.resolves.value(ResolveCause::Ahead), 4);
}

#[test]
fn a_file_that_cannot_be_resolved_ahead_is_neither_dark_nor_in_the_cache() {
    let (library, musefs, files) = ten_files();
    std::fs::remove_file(library.music().join("1.flac")).unwrap();
    crate::testing::flip_a_byte(&library.music().join("2.flac"));
    std::fs::write(library.music().join("3.flac"), "no longer that").unwrap();
    musefs.open(files[0]).unwrap();
    go_ahead(&musefs, files[0]);
    assert_eq!(musefs.dark_tracks(), 0);
    for inode in &files[1..4] {
        assert!(!musefs.cache.contains(*inode));
        assert!(musefs.open(*inode).is_err());
    }
    assert_eq!(musefs.dark_tracks(), 3);
}
