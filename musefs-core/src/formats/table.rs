//! What is said of each format, once: its names and extensions, what is read, kept and written, and what is lost.
//!
//! Formats with a module of their own describe themselves there; the others are described here. Extensions, names, the
//! command that lists the formats and the page about them all come from these descriptions.

use serde::Serialize;

use super::vocabulary::{self, Family};
use super::{Format, adts, aiff, ape_tagged, flac, mp3, mp4, ogg, wav};

/// What is said of one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The format's name in the store, in metrics and in reports.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Extensions of its files, in lower case.
    pub extensions: &'static [&'static str],
    /// The kinds of tags that are read.
    pub read: &'static [&'static str],
    /// What is served as ranges of the backing file, without having been read.
    pub kept: &'static [&'static str],
    /// The metadata that is written; empty where files are served as they are.
    pub written: &'static [&'static str],
    /// What of the file is its sound, and how that is served.
    pub audio: &'static str,
    /// Files of this format that are served as they are, on purpose.
    pub left_alone: &'static [&'static str],
    /// What does not survive, on purpose.
    pub losses: &'static [Loss],
}

/// Something that a served file does not have although its backing file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// What is lost.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    /// A file of the test data that has it, by its name in `tests/data/odd`.
    pub sample: &'static str,
}

/// The names that the formats have for one key of the shared vocabulary. The first of each is the one that is written;
/// the others are read as the same field where the first one is absent. Without a name, the key itself is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeyNames {
    /// The key in the store and in templates.
    pub key: &'static str,
    /// Vorbis comments: FLAC, Ogg.
    pub vorbis: &'static [&'static str],
    /// `ID3v2.4` frames. `TXXX:` stands before a description, `TIPL:` before a role, and `TRCK/` is the total in `TRCK`.
    pub id3v2: &'static [&'static str],
    /// `APEv2` items.
    pub apev2: &'static [&'static str],
    /// Atoms of an MP4 item list. `----:` stands before the name of a freeform atom of iTunes, and `trkn/` is the total in
    /// `trkn`.
    pub mp4: &'static [&'static str],
    /// Chunks of a RIFF `LIST/INFO`.
    pub riff_info: &'static [&'static str],
}

/// Every key of the shared vocabulary with its names.
pub fn key_names() -> impl Iterator<Item = KeyNames> {
    vocabulary::keys().map(|key| {
        let names = |family| vocabulary::native_names(key, family);
        KeyNames {
            key,
            vorbis: names(Family::Vorbis),
            id3v2: names(Family::Id3),
            apev2: names(Family::Ape),
            mp4: names(Family::Mp4),
            riff_info: names(Family::RiffInfo),
        }
    })
}

impl Format {
    /// What is said of the format.
    pub const fn description(self) -> &'static Description {
        match self {
            Self::Flac => &flac::DESCRIPTION,
            Self::Mp3 => &mp3::DESCRIPTION,
            Self::Mp4 => &mp4::DESCRIPTION,
            Self::Ogg => &ogg::DESCRIPTION,
            Self::Wav => &wav::DESCRIPTION,
            Self::Aiff => &aiff::DESCRIPTION,
            Self::Ape => &ape_tagged::DESCRIPTION,
            Self::WavPack => &WAVPACK,
            Self::Musepack => &MUSEPACK,
            Self::TrueAudio => &ape_tagged::TRUE_AUDIO,
            Self::Adts => &adts::DESCRIPTION,
            Self::Unrecognised => &UNRECOGNISED,
        }
    }

    /// The name in the store, in metrics and in reports.
    pub const fn as_str(self) -> &'static str {
        self.description().name
    }

    /// The format of that name, the inverse of [`Format::as_str`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Whether files of this format can be served with fresh metadata; the others are served as they are.
    pub const fn has_synthesizer(self) -> bool {
        !self.description().written.is_empty()
    }

    /// The format that an extension (without its dot, any case) promises, where it promises one that is recognised.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::of_extension(extension.as_bytes()).filter(|&format| format != Self::Unrecognised)
    }

    fn of_extension(extension: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|format| {
            format
                .description()
                .extensions
                .iter()
                .any(|known| known.as_bytes().eq_ignore_ascii_case(extension))
        })
    }
}

/// Whether a file with this extension (the bytes after the last dot, any case) belongs into the tree.
pub fn is_audio_extension(extension: &[u8]) -> bool {
    Format::of_extension(extension).is_some()
}

const WAVPACK: Description = Description {
    name: "wavpack",
    title: "WavPack",
    extensions: &["wv"],
    ..ape_tagged::DESCRIPTION
};

const MUSEPACK: Description = Description {
    name: "musepack",
    title: "Musepack",
    extensions: &["mpc", "mp+"],
    ..ape_tagged::DESCRIPTION
};

const UNRECOGNISED: Description = Description {
    name: "unrecognised",
    title: "Other audio",
    extensions: &["wma", "dsf", "dff", "mka", "caf", "ac3", "dts"],
    read: &[],
    kept: &[],
    written: &[],
    audio: "the whole file, as it is",
    left_alone: &["files whose content nothing here recognises, whatever their extension"],
    losses: &[],
};
