//! Takes any bytes through all that musefs does with a file: probe, properties, layout, reads. Every bound that a file
//! could break is asserted. Likewise any text as a template. It knows no test harness, so that a fuzzer can drive it.

use std::ops::Range;

use musefs_core::formats::{
    self, Art, Desired, Fetched, OpaqueItem, Probe, Source, Stop, Structure, Tag,
};
use musefs_core::layout::derived::Origin;
use musefs_core::layout::{BlobId, BlobKind, Layout, Piece};
use musefs_core::template::{Fallbacks, NumberWidths, Template, TrackValues};

/// Reads are rounded out to this, in bytes, as a scan does it.
const BLOCK_BYTES: u64 = 4096;

/// Requests that a pass over a small file may take.
const ROUNDS_MAX: usize = 256;

/// How often over a pass may fetch a byte, since a longer piece replaces no shorter one inside it.
const FETCHED_TIMES_MAX: u64 = 64;

/// A served file may be longer than its backing file by this factor (text in Latin-1 or UTF-16 becomes longer in UTF-8,
/// small items get larger headers), and by the bytes that are new in any case.
const SERVED_TIMES_MAX: u64 = 6;
const SERVED_BYTES_EXTRA: u64 = 64 << 10;

/// Asks a pass until it has what it needs.
fn ask<T>(bytes: &[u8], pass: impl Fn(&Fetched) -> Result<T, Range<u64>>) -> T {
    let len = bytes.len() as u64;
    let mut fetched = Fetched::new(len);
    for _ in 0..ROUNDS_MAX {
        let Range { start, end } = match pass(&fetched) {
            Ok(answer) => {
                let bytes_max = len * FETCHED_TIMES_MAX;
                assert!(
                    fetched.bytes() <= bytes_max,
                    "{} bytes of {len}",
                    fetched.bytes()
                );
                return answer;
            }
            Err(range) => range,
        };
        assert!(start < end && end <= len, "{start}..{end} of {len}");
        let first = start / BLOCK_BYTES * BLOCK_BYTES;
        let last = end.next_multiple_of(BLOCK_BYTES).min(len);
        let before = fetched.bytes();
        fetched.insert(first, bytes[index(first)..index(last)].into());
        assert!(fetched.bytes() > before, "asked for {start}..{end} again");
    }
    panic!("{ROUNDS_MAX} rounds and no end");
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("within a small file")
}

/// The backing file in memory; a blob is a run of one byte.
struct InMemory<'a>(&'a [u8]);

impl Origin for InMemory<'_> {
    type Error = String;

    fn backing(&mut self, offset: u64, into: &mut [u8]) -> Result<(), String> {
        let range = index(offset)..index(offset) + into.len();
        let bytes = self.0.get(range.clone());
        into.copy_from_slice(bytes.ok_or_else(|| format!("{range:?} of {}", self.0.len()))?);
        Ok(())
    }

    fn blob(&mut self, _: BlobId, _: BlobKind, _: u64, into: &mut [u8]) -> Result<(), String> {
        into.fill(BLOB_BYTE);
        Ok(())
    }
}

const BLOB_BYTE: u8 = 0xbb;

/// The bytes of a range of a layout.
fn read(layout: &Layout, range: Range<u64>, backing: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    for piece in layout.pieces(range.clone()) {
        match piece {
            Piece::Inline(bytes) => read.extend_from_slice(bytes),
            Piece::Backing { offset, len } => {
                read.extend_from_slice(&backing[index(offset)..index(offset + len)]);
            }
            Piece::StoreBlob { len, .. } => read.resize(read.len() + index(len), BLOB_BYTE),
            Piece::Derived {
                derived,
                offset,
                len,
            } => {
                let start = read.len();
                read.resize(start + index(len), 0);
                derived
                    .read(offset, &mut read[start..], &mut InMemory(backing))
                    .expect("the ranges that a layout was checked for");
            }
        }
    }
    assert_eq!(
        read.len() as u64,
        range.end - range.start,
        "a piece is short"
    );
    read
}

/// Numbers that follow from a seed (`SplitMix64`, Steele, Lea and Flood).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound.max(1)
    }
}

/// Probes, as a scan does it.
pub fn probe(bytes: &[u8], extension: &str) -> Probe {
    ask(bytes, |fetched| formats::probe(fetched, Some(extension)))
}

fn desired<'a>(probe: &'a Probe, structure: &'a Structure, bytes: &[u8]) -> Desired<'a> {
    Desired {
        structure,
        backing_len: bytes.len() as u64,
        tags: &probe.tags,
        art: &probe.art,
        items: &probe.items,
    }
}

/// Lays out what a probe found; the whole served file, of which any range is a slice.
fn serve(probe: &Probe, bytes: &[u8], numbers: &mut Numbers) -> Option<Vec<u8>> {
    let stored = Structure::from_bytes(&probe.structure.to_bytes()).expect("a round trip");
    assert!(
        stored == probe.structure,
        "another structure comes out of the store"
    );
    let layout = formats::synthesize(&desired(probe, &stored, bytes)).ok()?;
    let blobs: u64 = probe
        .art
        .iter()
        .map(|art| &art.source)
        .chain(probe.items.iter().map(|item| &item.source))
        .filter(|source| matches!(source, Source::Blob { .. }))
        .map(Source::len)
        .sum();
    let len_max = bytes.len() as u64 * SERVED_TIMES_MAX + blobs + SERVED_BYTES_EXTRA;
    assert!(
        layout.len() <= len_max,
        "{} of {}",
        layout.len(),
        bytes.len()
    );
    assert!(layout.inline_bytes() <= len_max);
    let whole = read(&layout, 0..layout.len(), bytes);
    for _ in 0..4 {
        let start = numbers.below(layout.len() + 1);
        let end = (start + numbers.below(300)).min(layout.len());
        assert!(
            read(&layout, start..end, bytes) == whole[index(start)..index(end)],
            "{start}..{end} is not that slice of the whole"
        );
    }
    Some(whole)
}

/// What a reader of the served file finds is what was to be served. Empty values may go: where values are separated by NUL,
/// those at the end are padding.
fn assert_survived(before: &Probe, after: &Probe) {
    let sorted = |probe: &Probe| {
        let mut tags = probe.tags.clone();
        for tag in &mut tags {
            // A number that is written together with its total has no blanks around it.
            tag.value = tag.value.trim().to_owned();
        }
        tags.retain(|tag| !tag.value.is_empty());
        tags.sort_by(|left, right| left.key.cmp(&right.key));
        tags
    };
    assert_eq!(sorted(before), sorted(after), "other tags are served");
    assert_eq!(
        before.art.len(),
        after.art.len(),
        "other pictures are served"
    );
    assert_eq!(
        before.items.len(),
        after.items.len(),
        "other items are served"
    );
}

/// The values of all tags, sorted. Numbers stand apart from their totals.
fn values(probe: &Probe) -> Vec<&str> {
    let mut values: Vec<&str> = probe
        .tags
        .iter()
        .map(|tag| tag.value.trim())
        .filter(|value| !value.is_empty())
        .collect();
    values.sort_unstable();
    values
}

/// Takes a file through everything.
pub fn exercise(bytes: &[u8], extension: &str, seed: u64) {
    let mut numbers = Numbers(seed);
    let mut probe = probe(bytes, extension);
    if probe.failure.is_some() {
        assert!(
            probe.structure == Structure::AsIs,
            "a failure has no structure"
        );
    }
    let len = bytes.len() as u64;
    let sources = probe
        .art
        .iter()
        .map(|art| &art.source)
        .chain(probe.items.iter().map(|item| &item.source));
    for source in sources {
        let Source::Backing(range) = source else {
            panic!("a probe makes no blobs");
        };
        assert!(
            range.offset <= len && range.len <= len - range.offset,
            "{range:?} of {len}"
        );
    }
    // Whether it tells anything does not matter here.
    let _ = ask(bytes, |fetched| {
        match formats::properties(fetched, Some(extension)) {
            Err(Stop::NeedMore(range)) => Err(range),
            other => Ok(other),
        }
    });
    let served = serve(&probe, bytes, &mut numbers);
    if probe.structure == Structure::AsIs {
        assert!(
            served.as_deref() == Some(bytes),
            "a file without a structure is served as it is"
        );
        return;
    }
    if let Some(served) = served {
        let again = self::probe(&served, extension);
        assert_eq!(again.failure, None, "what is served cannot be taken apart");
        assert_eq!(
            again.format, probe.format,
            "what is served is another format"
        );
        assert_survived(&probe, &again);
    }
    // Edits of all kinds: a new value, a removed one, a new picture in place of an old one, a kept item less.
    probe
        .tags
        .truncate(index(numbers.below(probe.tags.len() as u64 + 1)));
    probe.tags.push(Tag {
        key: "title".to_owned(),
        value: "x".repeat(index(1 + numbers.below(300))),
    });
    probe.tags.sort_by(|left, right| left.key.cmp(&right.key));
    probe.art.truncate(index(numbers.below(3)));
    probe.art.push(Art {
        picture_type: 3,
        mime: "image/png".to_owned(),
        description: String::new(),
        width: 0,
        height: 0,
        depth: 0,
        colors: 0,
        source: Source::Blob {
            blob: BlobId(1),
            len: numbers.below(5000),
        },
    });
    let kept: Vec<OpaqueItem> = probe.items.drain(..).skip(1).collect();
    probe.items = kept;
    if let Some(served) = serve(&probe, bytes, &mut numbers) {
        let again = self::probe(&served, extension);
        assert_eq!(
            again.failure, None,
            "what is served after an edit cannot be taken apart"
        );
        // Keys may be others: a field's second name is taken for the field once its first one is gone, and a name that
        // cannot be written is replaced.
        assert_eq!(values(&probe), values(&again), "other values are served");
    }
}

/// The longest name, in bytes, that Linux takes.
const NAME_BYTES_MAX: usize = 255;

/// Fills a template, if it is one, with the lines of `values` as values of every field that it asks for.
pub fn template(template: &str, values: &str) {
    let Ok(template) = Template::parse(template) else {
        return;
    };
    let keys = template.tag_keys();
    let tags: Vec<Tag> = values
        .lines()
        .enumerate()
        .filter_map(|(number, value)| {
            let key = keys.get(number % keys.len().max(1))?;
            Some(Tag {
                key: (*key).to_owned(),
                value: value.to_owned(),
            })
        })
        .collect();
    let track = TrackValues {
        tags: &tags,
        path: values.as_bytes(),
        format: "flac",
        properties: formats::AudioProperties::default(),
    };
    let fallbacks = Fallbacks::default();
    let mut widths = NumberWidths::default();
    let Ok(draft) = template.draft(&track, &fallbacks, &mut widths) else {
        return;
    };
    let path = draft.finish(&widths, Some("flac"), &fallbacks);
    for name in path.as_str().split('/') {
        let is_name =
            !name.is_empty() && name != "." && name != ".." && name.len() <= NAME_BYTES_MAX;
        assert!(is_name && !name.contains('\0'), "{name:?} is no name");
    }
}
