use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::layout::derived::Origin;
use crate::layout::{BlobKind, Layout, Piece};

mod adts;
mod aiff;
mod ape_tagged;
mod build;
mod chunk_files;
mod damage;
mod flac;
mod mp3;
mod mp4;
mod ogg;
mod ogg_build;
mod wav;

use build::FlacBuilder;

/// Most requests that probing a small file may take.
const ROUNDS_MAX: usize = 64;

/// Probes a file as a scan does: fetching what is asked for, rounded out to blocks of `block` bytes.
fn probe_by(bytes: &[u8], extension: Option<&str>, block: u64) -> (Probe, u64) {
    probe_within(bytes, extension, block, ROUNDS_MAX)
}

/// As [`probe_by`], with at most `rounds` requests.
fn probe_within(bytes: &[u8], extension: Option<&str>, block: u64, rounds: usize) -> (Probe, u64) {
    let len = bytes.len() as u64;
    let mut fetched = Fetched::new(len);
    for _ in 0..rounds {
        match probe(&fetched, extension) {
            Ok(probe) => return (probe, fetched.bytes()),
            Err(Range { start, end }) => {
                assert!(start < end && end <= len, "{start}..{end} of {len}");
                let first = start / block * block;
                let last = (end.div_ceil(block) * block).min(len);
                let part = &bytes[usize::try_from(first).unwrap()..usize::try_from(last).unwrap()];
                fetched.insert(first, part.into());
            }
        }
    }
    panic!("probing did not end");
}

fn probed(bytes: &[u8], extension: &str) -> Probe {
    probe_by(bytes, Some(extension), 4096).0
}

fn layout_of(probe: &Probe, backing_len: usize) -> Result<Layout, SynthesisError> {
    synthesize(&Desired {
        structure: &probe.structure,
        backing_len: backing_len as u64,
        tags: &probe.tags,
        art: &probe.art,
        items: &probe.items,
    })
}

/// What bytes are made from: the backing file, and blobs that are runs of `0xBB`.
struct InMemory<'a>(&'a [u8]);

impl Origin for InMemory<'_> {
    type Error = ();

    fn backing(&mut self, offset: u64, into: &mut [u8]) -> Result<(), ()> {
        let start = usize::try_from(offset).map_err(|_| ())?;
        into.copy_from_slice(self.0.get(start..start + into.len()).ok_or(())?);
        Ok(())
    }

    fn blob(&mut self, _: BlobId, _: BlobKind, _: u64, into: &mut [u8]) -> Result<(), ()> {
        into.fill(0xbb);
        Ok(())
    }
}

/// The served bytes; every blob is a run of `0xBB`.
fn materialised(layout: &Layout, backing: &[u8]) -> Vec<u8> {
    layout
        .pieces(0..layout.len())
        .flat_map(|piece| match piece {
            Piece::Inline(bytes) => bytes.to_vec(),
            Piece::Backing { offset, len } => slice(backing, ByteRange { offset, len }).to_vec(),
            Piece::StoreBlob { len, .. } => vec![0xbb; usize::try_from(len).unwrap()],
            Piece::Derived {
                derived,
                offset,
                len,
            } => {
                let mut bytes = vec![0; usize::try_from(len).unwrap()];
                derived
                    .read(offset, &mut bytes, &mut InMemory(backing))
                    .expect("ranges within the file");
                bytes
            }
        })
        .collect()
}

fn served(probe: &Probe, backing: &[u8]) -> Vec<u8> {
    let layout = layout_of(probe, backing.len()).expect("a layout");
    assert_eq!(
        layout,
        synthesize(&Desired {
            structure: &Structure::from_bytes(&probe.structure.to_bytes()).expect("round trip"),
            backing_len: backing.len() as u64,
            tags: &probe.tags,
            art: &probe.art,
            items: &probe.items,
        })
        .expect("a layout")
    );
    materialised(&layout, backing)
}

fn slice(bytes: &[u8], range: ByteRange) -> &[u8] {
    &bytes[usize::try_from(range.offset).unwrap()..usize::try_from(range.end()).unwrap()]
}

fn source<'a>(bytes: &'a [u8], source: &Source) -> &'a [u8] {
    match source {
        Source::Backing(range) => slice(bytes, *range),
        Source::Blob { .. } => panic!("a blob in a probed file"),
    }
}

/// Tags by key, in a form that does not depend on the order of keys.
fn sorted(probe: &Probe) -> Vec<Tag> {
    let mut tags = probe.tags.clone();
    tags.sort_by(|left, right| left.key.cmp(&right.key));
    tags
}

/// A probe of the served file sees what the probe of the backing file saw.
fn assert_same(before: &Probe, backing: &[u8], after: &Probe, served: &[u8]) {
    assert_eq!(after.failure, None);
    assert_eq!(sorted(before), sorted(after));
    assert_eq!(
        before.properties.sample_rate_hz,
        after.properties.sample_rate_hz
    );
    assert_eq!(before.properties.duration_ms, after.properties.duration_ms);
    let art = |probe: &Probe, bytes: &[u8]| -> Vec<(u32, String, String, Vec<u8>)> {
        let fields = |art: &Art| {
            (
                art.picture_type,
                art.mime.clone(),
                art.description.clone(),
                source(bytes, &art.source).to_vec(),
            )
        };
        probe.art.iter().map(fields).collect()
    };
    assert_eq!(art(before, backing), art(after, served));
    let items = |probe: &Probe| -> Vec<String> {
        probe.items.iter().map(|item| item.native.clone()).collect()
    };
    assert_eq!(items(before), items(after));
}

fn tag(key: &str, value: &str) -> Tag {
    Tag {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn values<'a>(probe: &'a Probe, key: &str) -> Vec<&'a str> {
    probe
        .tags
        .iter()
        .filter(|tag| tag.key == key)
        .map(|tag| tag.value.as_str())
        .collect()
}

#[test]
fn names_of_formats_and_failures_round_trip() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.as_str()), Some(format));
    }
    for failure in Failure::ALL {
        assert_eq!(Failure::from_name(failure.as_str()), Some(failure));
    }
    assert!(is_audio_extension(b"FlaC"));
    assert!(!is_audio_extension(b"jpg"));
    assert_eq!(Format::from_extension("MP3"), Some(Format::Mp3));
}

#[test]
fn empty_and_foreign_files_are_ordinary_answers() {
    let empty = probed(b"", "flac");
    assert_eq!(empty.failure, Some(Failure::Empty));
    let picture = probed(
        &[0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F'],
        "mp3",
    );
    assert_eq!(picture.failure, Some(Failure::Unrecognised));
    assert_eq!(picture.format, Format::Unrecognised);
    let layout = layout_of(&picture, 10).unwrap();
    assert_eq!(layout, Layout::whole_file(10));
}

#[test]
fn a_mismatch_of_extension_and_content_is_a_warning() {
    let bytes = FlacBuilder::new().comment("TITLE=One").build();
    let probe = probed(&bytes, "mp3");
    assert_eq!(probe.format, Format::Flac);
    assert_eq!(
        probe.warnings,
        [Warning::ExtensionMismatch {
            content: Format::Flac
        }]
    );
}

proptest! {
    #[test]
    fn a_damaged_stored_structure_is_an_error_or_another_structure(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        file in any::<prop::sample::Index>(),
    ) {
        let flac = FlacBuilder::new().comment("TITLE=One").comment("TRACKNUMBER=1/2").build();
        let wide = chunk_files::Wav::wide(0, 8000).data().build();
        let wv = [ape_tagged::audio("wv"), ape_tagged::items()].concat();
        let files = [("flac", flac), ("wav", wav::full()), ("wav", wide), ("aiff", aiff::full()), ("wv", wv)];
        let (extension, bytes) = file.get(&files);
        let probe = probed(bytes, extension);
        let mut stored = probe.structure.to_bytes();
        for (index, byte) in flips {
            let at = index.index(stored.len());
            stored[at] ^= byte;
        }
        stored.truncate(cut.index(stored.len() + 1));
        if let Ok(structure) = Structure::from_bytes(&stored) {
            let _ = synthesize(&Desired {
                structure: &structure,
                backing_len: bytes.len() as u64,
                tags: &probe.tags,
                art: &probe.art,
                items: &probe.items,
            });
        }
    }
}
