//! Every format with every kind of metadata, written by mutagen, served, and judged by mutagen, ffprobe and ffmpeg: what
//! went in comes out, an edit changes what it names and nothing else, and the sound is the same to the last bit.
//!
//! One file of each format with everything in it runs always; `MUSEFS_FULL` adds a file for each odd kind of values.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::support::judge::{Verdict, judge};
use crate::support::kinds::{self, Kind};
use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::{files_below, is_full, python, skip};

/// What one file can hold at once.
const CASES: &[&str] = &["all"];

/// Each a file of its own: no picture, one of 300 KB, three; several values, and values that readers trip over.
const CASES_FULL: &[&str] = &[
    "all", "few", "picture", "pictures", "opaque", "ordinary", "several", "unicode", "blank",
    "zero", "padded", "lines", "long", "empty",
];

/// Readers of one file at once.
const READERS: u64 = 4;

/// Ranges read of a file, and how many of them where everything is judged.
const RANGES: u64 = 100;
const RANGES_FULL: u64 = 1000;

/// The longest range, in bytes.
const RANGE_BYTES_MAX: u64 = 50_000;

fn cases() -> &'static [&'static str] {
    if is_full() { CASES_FULL } else { CASES }
}

/// Files of one kind, one per case, scanned and mounted under their own names.
struct Judged {
    kind: Kind,
    library: Library,
    mount: Mount,
}

impl Judged {
    /// `None`, after it was said why, where the kind cannot be made here.
    fn new(kind: &Kind) -> Option<Self> {
        if !crate::support::is_ready() {
            return None;
        }
        if !python::has_mutagen() {
            skip("there is no mutagen");
            return None;
        }
        let Some(sample) = kinds::sample(kind) else {
            skip("MUSEFS_CORPUS names no directory");
            return None;
        };
        let library = Library::new();
        let mut arguments = vec![
            kind.family.into(),
            sample.into_os_string(),
            library.music().into_os_string(),
        ];
        arguments.extend(cases().iter().map(Into::into));
        judge("write", arguments);
        library.scan();
        let mount = Mount::with(
            &library,
            &["--template", "$filename", "--metrics-dir", "off"],
        );
        Some(Self {
            kind: *kind,
            library,
            mount,
        })
    }

    fn compared(&self, command: &str) -> Verdict {
        let family = self.kind.family.into();
        let served = self.mount.path().as_os_str().to_owned();
        judge(
            command,
            [family, self.library.music().into_os_string(), served],
        )
    }

    /// The scan has named all values by the vocabulary.
    fn is_named(&self) {
        let mut arguments = vec![self.kind.family.into(), self.library.db().into_os_string()];
        arguments.extend(cases().iter().map(Into::into));
        judge("store", arguments).is_faultless(50 * cases().len() / 2);
    }

    /// Any range that is read beside others equals that range of the file read from its start to its end.
    fn reads_alike(&self) {
        for name in files_below(self.mount.path()) {
            let path = self.mount.join(&name);
            let whole = std::fs::read(&path).expect("a served file reads");
            let stated = path.metadata().expect("a served file has attributes").len();
            assert_eq!(stated, whole.len() as u64, "{name}");
            std::thread::scope(|scope| {
                for reader in 0..READERS {
                    let (path, whole) = (&path, &whole);
                    scope.spawn(move || read_ranges(path, whole, reader));
                }
            });
        }
    }
}

/// Reads this reader's share of the ranges.
fn read_ranges(path: &Path, whole: &[u8], reader: u64) {
    use std::os::unix::fs::OpenOptionsExt as _;
    // Direct, so that each read reaches musefs as it is.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .expect("a served file opens");
    let ranges = if is_full() { RANGES_FULL } else { RANGES };
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ reader;
    let mut next = |limit: u64| {
        // xorshift64 (Marsaglia 2003): the same ranges in each run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let len = whole.len() as u64;
    for _ in 0..ranges / READERS {
        let offset = next(len);
        let wanted = 1 + next(RANGE_BYTES_MAX);
        let end = len.min(offset + wanted);
        let mut bytes = vec![0; usize::try_from(wanted).expect("a short range")];
        let count = file
            .read_at(&mut bytes, offset)
            .expect("a range of a served file reads");
        let expected = &whole[usize::try_from(offset).expect("a short file")
            ..usize::try_from(end).expect("a short file")];
        assert!(
            bytes[..count] == *expected,
            "{}: {wanted} bytes at {offset} differ",
            path.display()
        );
    }
}

fn everything_survives(kind: &Kind) {
    let Some(judged) = Judged::new(kind) else {
        return;
    };
    judged.is_named();
    judged
        .compared("compare")
        .is_faultless(100 * cases().len() / 2);
    judged.reads_alike();
    judge("edit", [judged.library.db()]);
    let Judged {
        kind,
        library,
        mount,
    } = judged;
    mount.stop().done();
    let mount = Mount::with(
        &library,
        &["--template", "$filename", "--metrics-dir", "off"],
    );
    let judged = Judged {
        kind,
        library,
        mount,
    };
    judged
        .compared("compare-edited")
        .is_faultless(50 * cases().len() / 2);
    judged.reads_alike();
}

/// A test for each kind of files.
macro_rules! kinds {
    ($($name:ident: $kind:expr;)*) => {
        $(
            #[test]
            fn $name() {
                everything_survives(&$kind);
            }
        )*
    };
}

kinds! {
    flac: kinds::FLAC;
    mp3: kinds::MP3;
    mp3_with_id3v23: kinds::MP3_ID3V23;
    mp4_aac: kinds::MP4_AAC;
    mp4_with_chapters: kinds::MP4_CHAPTERS;
    ogg_vorbis: kinds::OGG_VORBIS;
    ogg_opus: kinds::OGG_OPUS;
    ogg_flac: kinds::OGG_FLAC;
    ogg_speex: kinds::OGG_SPEEX;
    wav: kinds::WAV;
    wav_rf64: kinds::WAV_RF64;
    aiff: kinds::AIFF;
    ape: kinds::APE;
    wavpack: kinds::WAVPACK;
    musepack: kinds::MUSEPACK;
    true_audio: kinds::TRUE_AUDIO;
    adts: kinds::ADTS;
}

/// Variants of formats that the tests above judge.
macro_rules! kinds_full {
    ($($name:ident: $kind:expr;)*) => {
        $(
            #[test]
            fn $name() {
                if is_full() {
                    everything_survives(&$kind);
                }
            }
        )*
    };
}

kinds_full! {
    flac_of_24_bits: kinds::FLAC_24;
    mp2: kinds::MP2;
    mp4_alac: kinds::MP4_ALAC;
    mp4_with_moov_in_front: kinds::MP4_FIRST_MOOV;
    wav_of_24_bits: kinds::WAV_24;
    wav_of_floats: kinds::WAV_FLOAT;
    aiff_c: kinds::AIFF_C;
}

#[test]
fn the_judge_knows_every_key_of_the_vocabulary() {
    require!(python::has_mutagen(), "there is no mutagen");
    let known = judge("keys", [""; 0]).lines;
    let keys: Vec<&str> = musefs_core::formats::vocabulary_keys().collect();
    assert_eq!(known, keys);
}

#[test]
fn the_judge_finds_what_differs() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let library = Library::new();
    let other = library.path().join("other");
    std::fs::create_dir(&other).expect("a new directory");
    let sample = kinds::sample(&kinds::FLAC).expect("ffmpeg makes it");
    for (directory, case) in [(library.music(), "all"), (other.clone(), "unicode")] {
        let arguments = ["flac".into(), sample.clone(), directory, case.into()];
        judge("write", arguments);
    }
    std::fs::rename(other.join("unicode.flac"), other.join("all.flac")).expect("a rename");
    let verdict = judge("compare", ["flac".into(), library.music(), other]);
    for part in [
        "comment TITLE: ",
        "pictures: ",
        "block 5: ",
        "ffprobe format tags",
    ] {
        let found = verdict.lines.iter().any(|line| line.contains(part));
        assert!(found, "{part} is not in {:?}", verdict.lines);
    }
}
