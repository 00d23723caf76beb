//! The formats: how each is recognised, taken apart and put together again.
//!
//! Nothing here does I/O. A probe looks at the bytes that were [`Fetched`] for it and either answers with a [`Probe`] or
//! asks for one more range; its caller reads that range and asks again. Synthesis turns what the store holds of a track
//! into a [`Layout`], from data alone.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::layout::{BlobId, Layout, LayoutError};

mod adts;
mod aiff;
mod ape_tagged;
mod apev2;
mod assembly;
mod chunk_tags;
mod chunks;
mod flac;
mod id3v2;
mod mp3;
mod mp4;
mod mpeg;
mod ogg;
mod originals;
mod properties;
mod region;
mod sniff;
mod table;
mod text;
mod trailer;
mod vocabulary;
mod vorbis_comment;
mod wav;

pub use adts::AdtsStructure;
pub use aiff::AiffStructure;
pub use ape_tagged::ApeTaggedStructure;
pub use flac::FlacStructure;
pub use mp3::Mp3Structure;
pub use mp4::Mp4Structure;
pub use ogg::OggStructure;
pub use properties::properties;
pub use table::{Description, KeyNames, Loss, is_audio_extension, key_names};
pub use wav::WavStructure;

/// Version of the probes: a stored row of an older version is probed again by the next scan.
pub const PROBE_VERSION: u32 = 4;

/// Version of the synthesizers: a stored size of an older version is computed again before it is shown.
pub const SYNTHESIZER_VERSION: u32 = 4;

/// The keys of the shared vocabulary: what tags are called that the formats have a common name for.
pub fn vocabulary_keys() -> impl Iterator<Item = &'static str> {
    vocabulary::keys()
}

/// What a file is, by its content. [`Format::description`] says the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Format {
    /// Native FLAC.
    Flac,
    /// MPEG audio, layer I to III.
    Mp3,
    /// MP4 container with audio.
    Mp4,
    /// Ogg container: Vorbis, Opus, FLAC or Speex.
    Ogg,
    /// RIFF/RF64/BW64 WAVE.
    Wav,
    /// AIFF and AIFF-C.
    Aiff,
    /// Monkey's Audio.
    Ape,
    /// `WavPack`.
    WavPack,
    /// Musepack SV7 or SV8.
    Musepack,
    /// True Audio.
    TrueAudio,
    /// AAC in ADTS frames.
    Adts,
    /// Has the extension of an audio file and content that nothing here recognises.
    Unrecognised,
}

impl Format {
    /// Every format, in the order of the documentation's table.
    pub const ALL: [Self; 12] = [
        Self::Flac,
        Self::Mp3,
        Self::Mp4,
        Self::Ogg,
        Self::Wav,
        Self::Aiff,
        Self::Ape,
        Self::WavPack,
        Self::Musepack,
        Self::TrueAudio,
        Self::Adts,
        Self::Unrecognised,
    ];
}

/// A run of bytes of the backing file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    /// Bytes from the file's start.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

impl ByteRange {
    /// The first byte after the range.
    ///
    /// A range is made from parsed and bounded numbers, so the sum cannot wrap; it saturates all the same.
    pub fn end(self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// One value of one tag key. Keys are the shared vocabulary in lower case (`title`, `albumartist`, `track`, `tracktotal`,
/// `musicbrainz_trackid` …) where the field has a name for them, else the format's own name. Several values of a key are
/// several tags, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// Vocabulary key, or the native name.
    pub key: String,
    /// The value as text.
    pub value: String,
}

/// Where the bytes of a picture or of an opaque item lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the backing file, untouched. In Ogg that is the form in which the file stores them: page headers may be in
    /// between, and a picture is the base64 text of a comment.
    Backing(ByteRange),
    /// In the store, because somebody put it there.
    Blob {
        /// The blob.
        blob: BlobId,
        /// Its length in bytes.
        len: u64,
    },
}

impl Source {
    /// Length in bytes as stored.
    pub fn len(&self) -> u64 {
        match self {
            Self::Backing(range) => range.len,
            Self::Blob { len, .. } => *len,
        }
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A picture. The fields are those of a FLAC PICTURE block, which are a superset of `ID3v2`'s APIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Art {
    /// Picture type by the `ID3v2` APIC table: 3 is the front cover.
    pub picture_type: u32,
    /// MIME type, as the file states it.
    pub mime: String,
    /// Free description.
    pub description: String,
    /// Width in pixels; 0 where unknown.
    pub width: u32,
    /// Height in pixels; 0 where unknown.
    pub height: u32,
    /// Bits per pixel; 0 where unknown.
    pub depth: u32,
    /// Number of palette colours; 0 where there is no palette or it is unknown.
    pub colors: u32,
    /// The encoded picture.
    pub source: Source,
}

/// An item of metadata that is kept without being understood: a PRIV frame, an APPLICATION block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaqueItem {
    /// The format's own name for it, e.g. `PRIV` or `APPLICATION`.
    pub native: String,
    /// Frame or block flags, as the format defines them and as they are to be written; 0 where it has none.
    pub flags: u32,
    /// Its body, without the frame or block header.
    pub source: Source,
}

/// What is known of the sound itself; `None` where the file does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioProperties {
    /// Playing time in milliseconds.
    pub duration_ms: Option<u64>,
    /// Samples per second.
    pub sample_rate_hz: Option<u32>,
    /// Number of channels.
    pub channels: Option<u32>,
    /// Bits of a sample, for lossless formats.
    pub bits_per_sample: Option<u32>,
    /// Average bitrate of the sound in bit/s.
    pub bitrate_bps: Option<u32>,
}

/// Why a file's metadata could not be taken apart; such a file is served as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// The file has no bytes.
    Empty,
    /// Nothing here recognises the content.
    Unrecognised,
    /// The structure breaks its own format's rules.
    Malformed,
    /// The file ends within its own metadata.
    Truncated,
    /// A size or count in it is over a named bound.
    OverLimit,
    /// It is well formed and of a kind that is left alone on purpose: encrypted, fragmented, multiplexed, chained.
    Unsupported,
}

impl Failure {
    /// Every failure that a probe can report.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::Unrecognised,
        Self::Malformed,
        Self::Truncated,
        Self::OverLimit,
        Self::Unsupported,
    ];

    /// The name in the store, in metrics and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unrecognised => "unrecognised",
            Self::Malformed => "malformed",
            Self::Truncated => "truncated",
            Self::OverLimit => "over_limit",
            Self::Unsupported => "unsupported",
        }
    }

    /// The failure of that name, the inverse of [`Failure::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|failure| failure.as_str() == name)
    }
}

/// What a probe learned of a file: plain data, ready for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// By content, never by extension.
    pub format: Format,
    /// How the file is built, for the synthesizer.
    pub structure: Structure,
    /// Text items, decoded, in the file's order.
    pub tags: Vec<Tag>,
    /// Pictures, in the file's order, as ranges of the file.
    pub art: Vec<Art>,
    /// Kept items, in the file's order, as ranges of the file.
    pub items: Vec<OpaqueItem>,
    /// The sound.
    pub properties: AudioProperties,
    /// Why the metadata could not be taken apart, where it could not.
    pub failure: Option<Failure>,
    /// Things worth a line in the scan's report that cost at most one field each.
    pub warnings: Vec<Warning>,
}

impl Probe {
    /// The answer for a file that could not be taken apart.
    fn failed(format: Format, failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::as_is(format)
        }
    }

    /// A file of `format` that is served as it is, with nothing known of it yet.
    fn as_is(format: Format) -> Self {
        Self {
            format,
            structure: Structure::AsIs,
            tags: Vec::new(),
            art: Vec::new(),
            items: Vec::new(),
            properties: AudioProperties::default(),
            failure: None,
            warnings: Vec::new(),
        }
    }
}

/// Something odd in a file that did not keep it from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A field's bytes were not valid in the encoding it claims and were decoded as a legacy code page.
    LegacyText {
        /// The field's native name.
        field: String,
    },
    /// One field could not be read and was left out.
    BadField {
        /// The field's native name.
        field: String,
        /// What was wrong with it.
        reason: String,
    },
    /// The content is another format than the extension says.
    ExtensionMismatch {
        /// What the content is.
        content: Format,
    },
}

/// How a file is built, as its synthesizer needs it; kept in the store as one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Structure {
    /// Served as it is: one range.
    AsIs,
    /// A FLAC file whose metadata can be written anew.
    Flac(FlacStructure),
    /// An MPEG audio file whose metadata can be written anew.
    Mp3(Mp3Structure),
    /// A WAVE file whose metadata can be written anew.
    Wav(WavStructure),
    /// An AIFF file whose metadata can be written anew.
    Aiff(AiffStructure),
    /// A file with `APEv2` behind its sound whose metadata can be written anew.
    ApeTagged(ApeTaggedStructure),
    /// An ADTS file whose metadata can be written anew.
    Adts(AdtsStructure),
    /// An MP4 file whose metadata can be written anew.
    Mp4(Mp4Structure),
    /// An Ogg file whose headers can be written anew.
    Ogg(OggStructure),
}

/// A stored structure is not one of this version of musefs.
#[derive(Debug, thiserror::Error)]
#[error("not a structure of this version: {0}")]
pub struct StructureError(#[from] postcard::Error);

impl Structure {
    /// The structure as one value for the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data in memory always encodes")
    }

    /// The structure that [`Structure::to_bytes`] made.
    ///
    /// # Errors
    /// When the bytes are damaged, or of another [`PROBE_VERSION`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StructureError> {
        let (structure, rest) = postcard::take_from_bytes(bytes)?;
        if rest.is_empty() {
            Ok(structure)
        } else {
            Err(postcard::Error::DeserializeBadEncoding.into())
        }
    }
}

/// The bytes of a file that were read so far, for a probe that does no I/O itself.
#[derive(Debug, Default)]
pub struct Fetched {
    file_len: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

/// Why a probe stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// These bytes are needed; fetch them and probe again. The range lies within the file and is never empty.
    NeedMore(Range<u64>),
    /// The file breaks the rules of its format.
    Broken(Failure),
}

impl Fetched {
    /// Nothing fetched yet of a file of `file_len` bytes.
    pub fn new(file_len: u64) -> Self {
        Self {
            file_len,
            blocks: BTreeMap::new(),
        }
    }

    /// Length of the file in bytes.
    pub fn file_len(&self) -> u64 {
        self.file_len
    }

    /// Bytes fetched so far.
    pub fn bytes(&self) -> u64 {
        self.blocks.values().map(|block| block.len() as u64).sum()
    }

    /// Adds bytes read at `offset`. A later block at the same offset replaces the earlier one when it is longer.
    pub fn insert(&mut self, offset: u64, bytes: Box<[u8]>) {
        let longer = self
            .blocks
            .get(&offset)
            .is_none_or(|known| known.len() < bytes.len());
        if longer {
            self.blocks.insert(offset, bytes);
        }
    }

    /// `len` bytes from `offset`.
    ///
    /// # Errors
    /// `NeedMore` when they were not fetched (as one block), `Broken(Truncated)` when the file ends before them.
    pub fn get(&self, offset: u64, len: usize) -> Result<&[u8], Stop> {
        let end = offset
            .checked_add(len as u64)
            .filter(|&end| end <= self.file_len)
            .ok_or(Stop::Broken(Failure::Truncated))?;
        if len == 0 {
            return Ok(&[]);
        }
        self.blocks
            .range(..=offset)
            .rev()
            .find(|(start, block)| *start + block.len() as u64 >= end)
            .map(|(start, block)| {
                let skip = usize::try_from(offset - start).expect("within a block");
                &block[skip..skip + len]
            })
            .ok_or(Stop::NeedMore(offset..end))
    }
}

/// All that synthesis needs of a track: what the store holds, and the backing file's length.
#[derive(Clone, Copy, Debug)]
pub struct Desired<'a> {
    /// How the backing file is built.
    pub structure: &'a Structure,
    /// Length of the backing file in bytes.
    pub backing_len: u64,
    /// The tags to serve, grouped by key in stored order.
    pub tags: &'a [Tag],
    /// The pictures to serve.
    pub art: &'a [Art],
    /// The kept items to serve.
    pub items: &'a [OpaqueItem],
}

/// Why a layout could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SynthesisError {
    /// A value is larger than its container can say.
    #[error("{what} is {len} bytes, more than the {max} its container can hold")]
    TooLarge {
        /// Which item.
        what: String,
        /// Its length in bytes.
        len: u64,
        /// The container's limit in bytes.
        max: u64,
    },
    /// A kept item has a name that its container cannot write.
    #[error("{native:?} names no item of this format")]
    BadItem {
        /// The item's native name.
        native: String,
    },
    /// The ranges do not fit the backing file.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Takes a file apart by what was fetched of it. `extension` is a hint without its dot, in any case.
///
/// A file that cannot be taken apart is an ordinary answer: [`Probe::failure`] says why, its structure is
/// [`Structure::AsIs`], and its format is still told where it was recognised. Neither embedded pictures nor the bodies of
/// kept items are asked for.
///
/// # Errors
/// The range of the file to fetch before asking again: never empty, within the file, and never one that was fetched as
/// one block before, so that asking again always gets further.
pub fn probe(fetched: &Fetched, extension: Option<&str>) -> Result<Probe, Range<u64>> {
    let sniffed = match sniff::sniff(fetched, extension) {
        Ok(sniffed) => sniffed,
        Err(Stop::NeedMore(range)) => return Err(range),
        Err(Stop::Broken(failure)) => {
            let promised = extension.and_then(Format::from_extension);
            let format = match promised {
                Some(format) if failure != Failure::Empty && failure != Failure::Unrecognised => {
                    format
                }
                _ => Format::Unrecognised,
            };
            return Ok(Probe::failed(format, failure));
        }
    };
    let format = sniffed.format;
    let parsed = match format {
        Format::Flac => flac::probe(fetched, &sniffed),
        Format::Mp3 => mp3::probe(fetched, &sniffed),
        Format::Wav => wav::probe(fetched, &sniffed),
        Format::Aiff => aiff::probe(fetched, &sniffed),
        Format::Ape | Format::WavPack | Format::Musepack | Format::TrueAudio => {
            ape_tagged::probe(fetched, &sniffed)
        }
        Format::Adts => adts::probe(fetched, &sniffed),
        Format::Mp4 => mp4::probe(fetched, &sniffed),
        Format::Ogg => ogg::probe(fetched, &sniffed),
        Format::Unrecognised => Err(Stop::Broken(Failure::Unrecognised)),
    };
    let mut probe = match parsed {
        Ok(probe) => probe,
        Err(Stop::NeedMore(range)) => return Err(range),
        Err(Stop::Broken(failure)) => Probe::failed(format, failure),
    };
    let promised = extension.and_then(Format::from_extension);
    if promised.is_some_and(|promised| promised != format) {
        probe
            .warnings
            .push(Warning::ExtensionMismatch { content: format });
    }
    Ok(probe)
}

/// Lays out the served file of a track, from stored rows alone.
///
/// # Errors
/// When an item is larger than its container can say, has a name that it cannot write, or a range lies outside the backing
/// file (the row is older than the file).
pub fn synthesize(desired: &Desired<'_>) -> Result<Layout, SynthesisError> {
    match desired.structure {
        Structure::AsIs => Ok(Layout::whole_file(desired.backing_len)),
        Structure::Flac(structure) => flac::synthesize(structure, desired),
        Structure::Mp3(structure) => mp3::synthesize(structure, desired),
        Structure::Wav(structure) => wav::synthesize(structure, desired),
        Structure::Aiff(structure) => aiff::synthesize(structure, desired),
        Structure::ApeTagged(structure) => ape_tagged::synthesize(structure, desired),
        Structure::Adts(structure) => adts::synthesize(structure, desired),
        Structure::Mp4(structure) => mp4::synthesize(structure, desired),
        Structure::Ogg(structure) => ogg::synthesize(structure, desired),
    }
}

#[cfg(test)]
mod tests;
