use std::fs;
use std::time::Duration;

use musefs_telemetry::snapshot::Value;

use super::*;
use crate::formats::Format;
use crate::metrics::{ByteSource, DarkReason, QueryKind, ReadPattern, ResolveCause, ServedBytes};
use crate::testing::{Library, flip_a_byte};

fn find(musefs: &Musefs, path: &str) -> Result<Attributes, Error> {
    let mut at = musefs.getattr(Inode::ROOT)?;
    for name in path.split('/') {
        at = musefs.lookup(at.inode, name.as_bytes())?;
    }
    Ok(at)
}

fn read_all(musefs: &Musefs, id: HandleId, step: u64) -> Result<Vec<u8>, Error> {
    let handle = musefs.handle(id)?;
    let mut all = Vec::new();
    let mut buffer = ReadBuffer::default();
    loop {
        if let Attempt::Done(result) =
            musefs.read_cached(&handle, all.len() as u64, step, &mut buffer)
        {
            result?;
        } else {
            musefs.read(&handle, all.len() as u64, step, &mut buffer)?;
        }
        if buffer.filled().is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(buffer.filled());
    }
}

fn bytes_answered(musefs: &Musefs) -> u64 {
    ByteSource::ALL
        .into_iter()
        .map(|source| bytes_from(musefs, source))
        .sum()
}

/// Bytes of FLAC files that were answered from `source`.
fn bytes_from(musefs: &Musefs, source: ByteSource) -> u64 {
    let format = Format::Flac;
    musefs
        .metrics
        .read_bytes
        .value(ServedBytes { source, format })
}

#[test]
fn a_file_reads_the_same_in_any_steps_and_every_byte_is_counted() {
    let library = Library::new();
    let backing = fs::read(library.add("a.flac", "One")).unwrap();
    library.scan();
    let (musefs, _) = library.serve();
    let attributes = find(&musefs, "Artist/Album/One.flac").unwrap();
    let id = musefs.open(attributes.inode).unwrap();
    let whole = read_all(&musefs, id, 1 << 20).unwrap();
    assert_eq!(whole.len() as u64, attributes.size);
    assert!(
        whole.ends_with(&backing[backing.len() - 100_000..]),
        "the audio is untouched"
    );
    assert_eq!(bytes_answered(&musefs), attributes.size);
    for step in [1000, 4096, 65_537] {
        assert_eq!(
            read_all(&musefs, id, step).unwrap(),
            whole,
            "in steps of {step}"
        );
    }
    assert_eq!(bytes_answered(&musefs), 4 * attributes.size);
    musefs.release(id).unwrap();
    assert!(matches!(musefs.release(id), Err(Error::BadHandle)));
    assert_eq!(musefs.telemetry().handles_open, 0);
}

#[test]
fn the_second_open_needs_neither_store_nor_header() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, _) = library.serve();
    let inode = find(&musefs, "Artist/Album/One.flac").unwrap().inode;
    assert!(
        matches!(musefs.open_cached(inode), Attempt::WouldBlock),
        "nothing is resolved yet"
    );
    let first = musefs.open(inode).unwrap();
    let statements = musefs.stores.take().statements();
    let before = musefs.metrics.snapshot();
    let second = match musefs.open_cached(inode) {
        Attempt::Done(result) => result.unwrap(),
        // The temporary directory is on a filesystem that cannot read without waiting.
        Attempt::WouldBlock => musefs.open(inode).unwrap(),
    };
    let after = musefs.metrics.snapshot();
    assert_eq!(musefs.stores.take().statements(), statements);
    assert_eq!(
        (after.opens - before.opens, after.preads - before.preads),
        (1, 0)
    );
    let telemetry = musefs.telemetry();
    assert_eq!(
        (telemetry.cache_header_hits, telemetry.cache_header_misses),
        (1, 1)
    );
    assert_eq!(
        (telemetry.handles_open, telemetry.cache_header_entries),
        (2, 1)
    );
    assert!(telemetry.cache_header_bytes > 0);
    musefs.release(first).unwrap();
    musefs.release(second).unwrap();
}

#[test]
fn an_open_file_keeps_its_bytes_across_an_edit() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let old = find(&musefs, "Artist/Album/One.flac").unwrap();
    let id = musefs.open(old.inode).unwrap();
    let before = read_all(&musefs, id, 4096).unwrap();
    assert!(
        refresher.poll(&musefs).unwrap().is_none(),
        "nothing was committed"
    );

    library.edit("UPDATE tags SET value = 'A longer title' WHERE key = 'title'");
    let changes = refresher.poll(&musefs).unwrap().unwrap();
    assert_eq!(changes.names.len(), 2, "{changes:?}");
    assert!(matches!(
        find(&musefs, "Artist/Album/One.flac"),
        Err(Error::NotFound)
    ));
    let new = find(&musefs, "Artist/Album/A longer title.flac").unwrap();
    assert_ne!(new.inode, old.inode);
    assert_eq!(read_all(&musefs, id, 1000).unwrap(), before);
    assert_eq!(
        musefs.getattr(old.inode).unwrap().size,
        old.size,
        "an inode answers while it is open"
    );

    let edited = musefs.open(new.inode).unwrap();
    let after = read_all(&musefs, edited, 4096).unwrap();
    assert_eq!(after.len() as u64, new.size);
    assert!(after.windows(14).any(|window| window == b"A longer title"));
    musefs.release(id).unwrap();
    assert!(matches!(musefs.getattr(old.inode), Err(Error::Stale)));
    // Who looked the old name up before the edit and opens only now gets what the track has become.
    let late = musefs.open(old.inode).unwrap();
    assert!(musefs.is_newer_than_its_inode(late) && !musefs.is_newer_than_its_inode(edited));
    assert_eq!(read_all(&musefs, late, 4096).unwrap(), after);
    assert_eq!(musefs.getattr(old.inode).unwrap().size, new.size);
    musefs.release(late).unwrap();
    assert!(matches!(musefs.getattr(old.inode), Err(Error::Stale)));
    assert_eq!(musefs.telemetry().refresh_generation, 1);
}

#[test]
fn a_file_that_was_edited_before_the_tree_knows_opens_as_it_is_and_an_inode_shows_one_version_at_a_time()
 {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let inode = find(&musefs, "Artist/Album/One.flac").unwrap().inode;
    let edit = |genre: &str| {
        library.edit(&format!(
            "INSERT INTO tags (track_id, key, value) VALUES (1, 'genre', '{genre}')
             ON CONFLICT (track_id, key, ordinal) DO UPDATE SET value = excluded.value"
        ));
    };
    edit("a genre");
    let first = musefs.open(inode).unwrap();
    edit("another genre, which is longer");
    let second = musefs.open(inode).unwrap();
    let (one, two) = (
        read_all(&musefs, first, 4096).unwrap(),
        read_all(&musefs, second, 4096).unwrap(),
    );
    assert!(one == two, "two versions under one inode");
    assert!(one.windows(7).any(|window| window == b"a genre"));
    let size = one.len() as u64;
    for shown in [
        musefs.getattr(inode),
        find(&musefs, "Artist/Album/One.flac"),
    ] {
        assert_eq!(shown.unwrap().size, size);
    }
    refresher.poll(&musefs).unwrap().unwrap();
    assert_eq!(musefs.getattr(inode).unwrap().size, size);
    musefs.release(first).unwrap();
    musefs.release(second).unwrap();
    let now = find(&musefs, "Artist/Album/One.flac").unwrap();
    assert!(now.inode != inode && now.size > size);
    let third = musefs.open(now.inode).unwrap();
    assert!(!musefs.is_newer_than_its_inode(third));
}

#[test]
fn a_structure_only_file_keeps_its_inode_when_only_its_name_changes() {
    let mut library = Library::new();
    library.mode = Mode::StructureOnly;
    let backing = fs::read(library.add("a.flac", "One")).unwrap();
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let old = find(&musefs, "Artist/Album/One.flac").unwrap();
    library.edit("UPDATE tags SET value = 'Two' WHERE key = 'title'");
    refresher.poll(&musefs).unwrap().unwrap();
    let new = find(&musefs, "Artist/Album/Two.flac").unwrap();
    assert_eq!(new.inode, old.inode);
    let id = musefs.open(new.inode).unwrap();
    assert_eq!(read_all(&musefs, id, 4096).unwrap(), backing);
    assert_eq!(musefs.metrics.snapshot().pread_bytes, backing.len() as u64);
}

#[test]
fn a_changed_file_is_an_error_and_harms_itself_alone() {
    let library = Library::new();
    let path = library.add("a.flac", "One");
    library.add("b.flac", "Two");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let one = find(&musefs, "Artist/Album/One.flac").unwrap().inode;
    let id = musefs.open(one).unwrap();
    flip_a_byte(&path);
    assert!(matches!(
        read_all(&musefs, id, 4096),
        Err(Error::Changed { .. })
    ));
    assert!(matches!(musefs.open(one), Err(Error::Changed { .. })));
    let dark = |reason: DarkReason| musefs.metrics.tracks_dark.value(reason);
    assert_eq!(dark(DarkReason::Changed), 1);
    fs::remove_file(&path).unwrap();
    assert!(matches!(musefs.open(one), Err(Error::Backing { .. })));
    assert_eq!(
        (dark(DarkReason::Changed), dark(DarkReason::Missing)),
        (0, 1)
    );
    let two = find(&musefs, "Artist/Album/Two.flac").unwrap();
    let other = musefs.open(two.inode).unwrap();
    assert_eq!(
        read_all(&musefs, other, 4096).unwrap().len() as u64,
        two.size
    );

    library.scan();
    refresher.poll(&musefs).unwrap().unwrap();
    assert_eq!(dark(DarkReason::Missing), 0, "it is not listed any more");
    assert!(matches!(
        find(&musefs, "Artist/Album/One.flac"),
        Err(Error::NotFound)
    ));
}

#[test]
fn a_file_that_was_moved_with_its_row_is_found_again() {
    let library = Library::new();
    let path = library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let one = find(&musefs, "Artist/Album/One.flac").unwrap();
    let before = musefs.open(one.inode).unwrap();
    fs::rename(&path, path.with_file_name("b.flac")).unwrap();
    library.scan();
    refresher.poll(&musefs).unwrap();
    let moved = find(&musefs, "Artist/Album/One.flac").unwrap();
    let after = musefs.open(moved.inode).unwrap();
    assert_eq!(
        read_all(&musefs, after, 4096).unwrap(),
        read_all(&musefs, before, 4096).unwrap()
    );
}

#[test]
fn art_that_somebody_put_into_the_store_is_served_from_there() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    library.edit(
        "INSERT INTO blobs (data) VALUES (CAST('a picture of some kind' AS BLOB));
         INSERT INTO art (track_id, ordinal, picture_type, mime, description, width, height, depth, colors, blob_id)
         SELECT id, 0, 3, 'image/png', '', 1, 1, 24, 0, (SELECT max(id) FROM blobs) FROM tracks",
    );
    let (musefs, _) = library.serve();
    let attributes = find(&musefs, "Artist/Album/One.flac").unwrap();
    let id = musefs.open(attributes.inode).unwrap();
    let served = read_all(&musefs, id, 1 << 20).unwrap();
    assert_eq!(served.len() as u64, attributes.size);
    assert!(
        served
            .windows(22)
            .any(|window| window == b"a picture of some kind")
    );
    assert_eq!(musefs.metrics.snapshot().art_chunks, 1);
    assert_eq!(bytes_from(&musefs, ByteSource::Art), 22);
}

#[test]
fn a_listing_without_a_handle_loses_nothing_while_the_tree_changes() {
    let library = Library::new();
    for number in 0..50 {
        library.add(&format!("{number}.flac"), &format!("Title {number:02}"));
    }
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let album = find(&musefs, "Artist/Album").unwrap().inode;
    let page = |handle, from, count: usize| {
        let mut entries = Vec::new();
        let mut emit = |entry: ListedEntry<'_>| {
            if entries.len() == count {
                return false;
            }
            entries.push((String::from_utf8_lossy(entry.name).into_owned(), entry.next));
            true
        };
        musefs.list(album, handle, from, &mut emit).unwrap();
        entries
    };
    let first = page(None, 0, 20);
    library.edit("UPDATE tags SET value = 'AA' WHERE key = 'title' AND value = 'Title 03'");
    refresher.poll(&musefs).unwrap().unwrap();
    let rest = page(None, first.last().unwrap().1, usize::MAX);
    let mut seen: Vec<String> = first
        .into_iter()
        .chain(rest)
        .map(|(name, _)| name)
        .collect();
    seen.sort();
    seen.dedup();
    let stayed: Vec<String> = (0..50)
        .filter(|n| *n != 3)
        .map(|n| format!("Title {n:02}.flac"))
        .collect();
    assert!(stayed.iter().all(|name| seen.contains(name)), "{seen:?}");

    let handles: Vec<Option<HandleId>> = (0..3).map(|_| musefs.opendir(album).unwrap()).collect();
    assert_eq!(
        handles.iter().flatten().count(),
        2,
        "the third is over the bound"
    );
    assert_eq!(musefs.directory_handles(), (2, 2));
    let by_name: Vec<String> = page(handles[0], 0, usize::MAX)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert!(by_name.is_sorted());
    assert_eq!(page(handles[2], 0, usize::MAX).len(), by_name.len());
    musefs.releasedir(handles[0].unwrap());
    assert_eq!(musefs.directory_handles(), (1, 2));
}

/// A structure-only library of one file of 10 MB, open, on a device that does not read without waiting, and the reads of which
/// have taken `took` until now.
fn open_on_device(took: Duration) -> (Library, Musefs, HandleId, Vec<u8>) {
    use std::os::unix::fs::MetadataExt as _;
    let mut library = Library::new();
    library.mode = Mode::StructureOnly;
    let path = library.add("a.flac", "One");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend((0..10_000_000_u32).map(|index| (index % 251) as u8));
    fs::write(&path, &bytes).unwrap();
    library.scan();
    let (musefs, _) = library.serve();
    let device = fs::metadata(&path).unwrap().dev();
    musefs.devices.learn(device, false);
    musefs.devices.note_read(device, 1, took);
    let attributes = find(&musefs, "Artist/Album/One.flac").unwrap();
    let id = musefs.open(attributes.inode).unwrap();
    (library, musefs, id, bytes)
}

/// So slow that no read of a test changes it.
const SLOW: Duration = Duration::from_secs(1_000_000);

#[test]
fn a_sequential_reader_of_a_slow_device_costs_no_byte_more_than_it_gets_and_fewer_reads() {
    let (_library, musefs, id, bytes) = open_on_device(SLOW);
    let before = musefs.metrics.snapshot();
    assert_eq!(read_all(&musefs, id, 128 << 10).unwrap(), bytes);
    let after = musefs.metrics.snapshot();
    let read = after.pread_bytes - before.pread_bytes;
    assert_eq!(read, bytes.len() as u64, "bytes read and bytes served");
    assert!(after.readahead_hits > 50, "{after:?}");
    assert!(after.preads - before.preads < 20, "{after:?}");
    assert!(musefs.readahead.charged() <= musefs.readahead.bytes_max());
    musefs.release(id).unwrap();
    assert_eq!(musefs.readahead.charged(), 0);
}

#[test]
fn random_reads_of_a_slow_device_cost_what_they_get_and_hold_nothing() {
    let (_library, musefs, id, bytes) = open_on_device(SLOW);
    let before = musefs.metrics.snapshot().pread_bytes;
    let handle = musefs.handle(id).unwrap();
    let mut offset = 1;
    for _ in 0..500 {
        offset = (offset * 7919 + 4_000_037) % (bytes.len() as u64 - 4096);
        let mut buffer = ReadBuffer::default();
        musefs.read(&handle, offset, 4096, &mut buffer).unwrap();
        let start = usize::try_from(offset).unwrap();
        assert_eq!(buffer.filled(), &bytes[start..start + 4096]);
    }
    assert_eq!(musefs.metrics.snapshot().pread_bytes - before, 500 * 4096);
    assert_eq!(musefs.readahead.charged(), 0);
}

#[test]
fn nothing_is_read_ahead_of_a_device_that_answers_fast() {
    let (_library, musefs, id, bytes) = open_on_device(Duration::from_nanos(1));
    let handle = musefs.handle(id).unwrap();
    let device = handle.resolved.device;
    let before = musefs.metrics.snapshot();
    let mut at = 0;
    while at < bytes.len() as u64 {
        // However busy the machine of the test is.
        for _ in 0..100 {
            musefs.devices.note_read(device, 1, Duration::from_nanos(1));
        }
        let mut buffer = ReadBuffer::default();
        musefs.read(&handle, at, 128 << 10, &mut buffer).unwrap();
        at += buffer.filled().len() as u64;
    }
    let after = musefs.metrics.snapshot();
    assert_eq!(after.pread_bytes - before.pread_bytes, bytes.len() as u64);
    assert_eq!((after.readahead_hits, musefs.readahead.charged()), (0, 0));
}

/// One read, however it has to be done.
fn read_at(musefs: &Musefs, id: HandleId, offset: u64, len: u64) -> ReadBuffer {
    let handle = musefs.handle(id).unwrap();
    let mut buffer = ReadBuffer::default();
    match musefs.read_cached(&handle, offset, len, &mut buffer) {
        Attempt::Done(result) => result.unwrap(),
        Attempt::WouldBlock => musefs.read(&handle, offset, len, &mut buffer).unwrap(),
    }
    buffer
}

#[test]
fn each_read_is_counted_once_by_its_pattern_and_its_size() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, _) = library.serve();
    let file = find(&musefs, "Artist/Album/One.flac").unwrap();
    let (one, other) = (
        musefs.open(file.inode).unwrap(),
        musefs.open(file.inode).unwrap(),
    );
    let patterns = || ReadPattern::ALL.map(|pattern| musefs.metrics.reads.value(pattern));
    let expected = [
        (one, 0, 512, [0, 1, 0]),
        (one, 512, 4096, [1, 1, 0]),
        // Of another handle, which has read nothing yet.
        (other, 4608, 1000, [1, 1, 1]),
        (one, 4608, 65_536, [2, 1, 1]),
        (one, 90_000, 10_000_000, [2, 1, 2]),
        (one, file.size, 100, [3, 1, 2]),
        (one, 100, 100, [3, 2, 2]),
    ];
    for (id, offset, len, patterns_then) in expected {
        read_at(&musefs, id, offset, len);
        assert_eq!(patterns(), patterns_then, "{len} bytes from {offset}");
    }
    let sizes = &musefs.metrics.read_size;
    assert_eq!(sizes.count(), 7);
    let of_size = |bound| {
        let buckets = sizes.buckets();
        let found = buckets.into_iter().find(|(of, _)| *of == Some(bound));
        found.unwrap().1
    };
    // 512, 0 and 100 bytes; 1000; 4096; 65,536 and what was left of 90,000 on.
    assert_eq!(
        [512, 1024, 4096, 16_384, 65_536].map(of_size),
        [3, 1, 1, 1, 1]
    );
    assert!(file.size - 90_000 <= 16_384);
    let snapshot = musefs.engine().snapshot();
    let bounds = snapshot.find("musefs_read_size_bytes").unwrap();
    let Some(Value::Histogram(distribution)) = bounds.value(0) else {
        panic!("no histogram")
    };
    assert!(distribution.text_buckets().count() <= 12);
}

#[test]
fn a_read_that_failed_is_not_counted_as_answered() {
    let library = Library::new();
    let path = library.add("a.flac", "One");
    library.scan();
    let (musefs, _) = library.serve();
    let inode = find(&musefs, "Artist/Album/One.flac").unwrap().inode;
    let id = musefs.open(inode).unwrap();
    flip_a_byte(&path);
    let handle = musefs.handle(id).unwrap();
    let mut buffer = ReadBuffer::default();
    musefs.read(&handle, 50_000, 4096, &mut buffer).unwrap_err();
    assert_eq!(musefs.metrics.read_size.count(), 0);
    assert_eq!(bytes_answered(&musefs), 0);
    assert_eq!(musefs.metrics.cache_header_stale.value(), 1);
    assert!(musefs.open(inode).is_err());
    assert_eq!(
        musefs.metrics.cache_header_stale.value(),
        1,
        "it was thrown away already"
    );
}

#[test]
fn time_without_sound_is_what_an_answer_took_longer_than_it_lasts() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.add("b.flac", "Two");
    library.scan();
    library.edit("UPDATE tracks SET duration_ms = 10000, bitrate_bps = 80000 WHERE id = 1");
    library.edit("UPDATE tracks SET duration_ms = NULL, bitrate_bps = NULL WHERE id = 2");
    let (musefs, _) = library.serve();
    let starved = || musefs.metrics.starved.value();
    let open = |track: i64| {
        let tree = musefs.tree();
        let (_, inode) = tree.tracks().find(|(id, _)| id.0 == track).unwrap();
        musefs.open(inode).unwrap()
    };
    let one = open(1);
    let handle = musefs.handle(one).unwrap();
    // 20,000 bytes at 80 kbit/s are two seconds.
    let sound = read_at(&musefs, one, 50_000, 20_000);
    musefs.note_read(&handle, &sound, Duration::from_millis(1999));
    assert_eq!(starved(), 0);
    musefs.note_read(&handle, &sound, Duration::from_millis(2250));
    assert_eq!(starved(), 250_000_000);
    let header = read_at(&musefs, one, 0, 16);
    musefs.note_read(&handle, &header, Duration::from_secs(9));
    assert_eq!(starved(), 250_000_000, "there is no sound in it");
    let two = open(2);
    let unknown = musefs.handle(two).unwrap();
    let sound = read_at(&musefs, two, 50_000, 20_000);
    musefs.note_read(&unknown, &sound, Duration::from_secs(9));
    assert_eq!(starved(), 250_000_000, "nobody knows how long it lasts");
}

#[test]
fn the_sound_of_a_file_without_a_bitrate_lasts_as_its_size_and_duration_say() {
    let library = Library::new();
    let path = library.add("a.flac", "One");
    library.scan();
    library.edit("UPDATE tracks SET duration_ms = 10000, bitrate_bps = NULL");
    let (musefs, _) = library.serve();
    let inode = find(&musefs, "Artist/Album/One.flac").unwrap().inode;
    let id = musefs.open(inode).unwrap();
    let size = fs::metadata(path).unwrap().len();
    let sound = read_at(&musefs, id, 50_000, size / 10);
    let handle = musefs.handle(id).unwrap();
    musefs.note_read(&handle, &sound, Duration::from_secs(3));
    let starved_ms = musefs.metrics.starved.value() / 1_000_000;
    assert!((1999..=2001).contains(&starved_ms), "{starved_ms} ms");
}

#[test]
fn resolves_are_counted_by_cause() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    library.edit("UPDATE tags SET value = 'Of a size that nobody knows' WHERE key = 'title'");
    let (musefs, mut refresher) = library.serve();
    let causes = || {
        ResolveCause::ALL.map(|cause| {
            let count = musefs.metrics.resolves.value(cause);
            assert_eq!(
                musefs.metrics.resolve.value(cause) > 0,
                count > 0,
                "{cause:?}"
            );
            count
        })
    };
    assert_eq!(causes(), [0, 0, 1, 0]);
    let inode = musefs.tree().tracks().next().unwrap().1;
    musefs.open(inode).unwrap();
    musefs.open(inode).unwrap();
    assert_eq!(causes(), [1, 0, 1, 0]);
    library.edit("UPDATE tags SET value = 'Once more' WHERE key = 'title'");
    refresher.poll(&musefs).unwrap();
    assert_eq!(causes(), [1, 0, 2, 0]);
    // Open on the version of before, and from there.
    musefs.open(inode).unwrap();
    assert_eq!(causes(), [1, 0, 2, 0]);
    let new = musefs.tree().tracks().next().unwrap().1;
    library.edit("UPDATE tags SET value = 'Not yet known' WHERE key = 'title'");
    musefs.open(new).unwrap();
    assert_eq!(causes(), [1, 1, 2, 0]);
}

#[test]
fn statements_are_counted_by_kind_and_none_is_missed() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let inode = musefs.tree().tracks().next().unwrap().1;
    let queries = &musefs.counted.store.store_queries;
    let all = || QueryKind::ALL.map(|kind| queries.value(kind));
    let executed = |refresher: &crate::refresh::Refresher| {
        musefs.stores.take().statements() + refresher.statements()
    };
    let (before, executed_before) = (all(), executed(&refresher));
    musefs.open(inode).unwrap();
    let after = all();
    let difference: Vec<u64> = after
        .iter()
        .zip(before)
        .map(|(now, then)| now - then)
        .collect();
    // The transaction and the row; the tags; pictures and items.
    assert_eq!(difference, [2, 1, 2, 0, 0, 0, 0, 0, 0, 0]);
    library.edit(
        "INSERT INTO blobs (data) VALUES (CAST('a picture of some kind' AS BLOB));
         INSERT INTO art (track_id, ordinal, picture_type, mime, description, width, height, depth, colors, blob_id)
         SELECT id, 0, 3, 'image/png', '', 1, 1, 24, 0, (SELECT max(id) FROM blobs) FROM tracks",
    );
    refresher.poll(&musefs).unwrap().unwrap();
    let inode = musefs.tree().tracks().next().unwrap().1;
    let id = musefs.open(inode).unwrap();
    read_all(&musefs, id, 1 << 20).unwrap();
    let now = all();
    for kind in [
        QueryKind::Blob,
        QueryKind::Changes,
        QueryKind::Version,
        QueryKind::Roots,
        QueryKind::Write,
    ] {
        let index = kind as usize;
        assert!(now[index] > after[index], "{kind:?}");
        let took = musefs.counted.store.store_query.value(kind);
        assert!(took > 0, "{kind:?}");
    }
    let counted = now.iter().sum::<u64>() - before.iter().sum::<u64>();
    assert_eq!(counted, executed(&refresher) - executed_before);
    read_all(&musefs, id, 4096).unwrap();
    let blobs = all()[QueryKind::Blob as usize] - now[QueryKind::Blob as usize];
    assert_eq!(all().iter().sum::<u64>() - now.iter().sum::<u64>(), blobs);
}

#[test]
fn a_file_that_could_not_be_taken_apart_is_counted_until_something_worse_is_known_of_it() {
    let library = Library::new();
    library.add("a.flac", "One");
    let broken = library.music().join("broken.flac");
    fs::write(&broken, "no such thing").unwrap();
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let dark = || DarkReason::ALL.map(|reason| musefs.metrics.tracks_dark.value(reason));
    assert_eq!(dark(), [0, 0, 0, 1]);
    let tree = musefs.tree();
    let (_, inode) = tree
        .tracks()
        .find(|(track, _)| refresher.holdings().unparsable().contains(track))
        .unwrap();
    let id = musefs.open(inode).unwrap();
    assert_eq!(read_all(&musefs, id, 4096).unwrap(), b"no such thing");
    assert_eq!(dark(), [0, 0, 0, 1], "it is served as it is");
    fs::remove_file(&broken).unwrap();
    musefs.open(inode).unwrap_err();
    assert_eq!(dark(), [1, 0, 0, 0]);
    library.scan();
    refresher.poll(&musefs).unwrap().unwrap();
    assert_eq!(dark(), [0; 4]);
}
