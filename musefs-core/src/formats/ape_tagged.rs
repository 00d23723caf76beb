//! Files with `APEv2` behind their sound: Monkey's Audio, `WavPack`, Musepack, True Audio.
//!
//! Served as the sound as it is, and one `APEv2` tag behind it. Many readers of True Audio know `ID3v2` in front alone, so
//! a file of that format has one `ID3v2.4` tag there instead, unless `APEv2` is all that it has. A tag without anything to
//! say is not written. How the sound is coded is not known here.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::apev2::{self, Ape};
use super::assembly::Assembly;
use super::id3v2::{self, Id3v2, Origin, Rewrite};
use super::originals::Originals;
use super::sniff::Sniffed;
use super::trailer::{self, Trailers};
use super::{
    AudioProperties, ByteRange, Description, Desired, Fetched, Format, Loss, Probe, Stop,
    Structure, SynthesisError, Tag, Warning,
};
use crate::layout::Layout;

/// What is said of these formats; they differ in names alone.
pub(super) const DESCRIPTION: Description = Description {
    name: "ape",
    title: "Monkey's Audio",
    extensions: &["ape"],
    read: &["APEv2", "ID3v2 in front or behind", "Lyrics3", "ID3v1"],
    kept: &[
        "covers and binary items",
        "text items that nobody changed, byte for byte",
    ],
    written: &["one APEv2 tag at the end"],
    audio: "everything between the tags, byte for byte",
    left_alone: &[],
    losses: &[
        Loss {
            what: "frames of ID3v2 that are neither text nor a picture",
            why: "they have no place in APEv2",
            sample: "id3v2_private.mpc",
        },
        Loss {
            what: "a tag that another one overrides: of APEv2, ID3v2, Lyrics3 and ID3v1, the first has its say on a field",
            why: "one tag is served",
            sample: "id3v2_private.mpc",
        },
    ],
};

/// True Audio, whose readers look for `ID3v2` in front where there is one.
pub(super) const TRUE_AUDIO: Description = Description {
    name: "trueaudio",
    title: "True Audio",
    extensions: &["tta"],
    kept: &[
        "covers and binary items",
        "text items of APEv2 that nobody changed, byte for byte",
        "frames of ID3v2 that are no text",
    ],
    written: &[
        "one ID3v2.4 tag in front",
        "where APEv2 is the only tag, one APEv2 tag at the end instead",
    ],
    losses: &[Loss {
        what: "what ID3v2.4 cannot hold, as for MP3, where there is ID3v2 in front",
        why: "the tag is written anew as ID3v2.4",
        sample: "positional_frames.tta",
    }],
    ..DESCRIPTION
};

/// How a file with an `APEv2` tag is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApeTaggedStructure {
    audio: ByteRange,
    tag: Place,
}

/// Where the served tag stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// Behind the sound, an `APEv2` tag.
    Behind(Originals),
    /// In front of it, an `ID3v2` tag.
    InFront {
        origins: Vec<Origin>,
        rewrites: Vec<Rewrite>,
    },
}

/// Takes a file apart. The kind of tag that is served counts; the others give what it does not have.
///
/// # Errors
/// `NeedMore`, or `Broken` when an `ID3v2` tag is over a limit.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let mut probe = Probe::as_is(sniffed.format);
    let trailers = trailer::find(fetched, sniffed.start)?;
    let audio = ByteRange {
        offset: sniffed.start,
        len: trailers.audio_end - sniffed.start,
    };
    let is_true_audio = sniffed.format == Format::TrueAudio;
    let has_only_ape = trailers.ape.is_some() && sniffed.id3v2.is_empty();
    let tag = if is_true_audio && !has_only_ape {
        let tag = id3v2::read_all(fetched, &sniffed.id3v2, &trailers)?;
        probe.tags = tag.tags;
        probe.art = tag.art;
        probe.items = tag.items;
        probe.warnings = tag.warnings;
        Place::InFront {
            origins: tag.origins,
            rewrites: tag.rewrites,
        }
    } else {
        behind(fetched, sniffed, &trailers, &mut probe)?
    };
    probe.structure = Structure::ApeTagged(ApeTaggedStructure { audio, tag });
    if is_true_audio {
        probe.properties = true_audio(fetched, sniffed)?;
    }
    Ok(probe)
}

fn behind(
    fetched: &Fetched,
    sniffed: &Sniffed,
    trailers: &Trailers,
    probe: &mut Probe,
) -> Result<Place, Stop> {
    let ape = match trailers.ape {
        Some(place) => apev2::read(fetched, place)?,
        None => Ape::default(),
    };
    let mut originals = ape.originals;
    probe.tags = ape.tags.into_iter().map(|(tag, _)| tag).collect();
    probe.art = ape.art;
    probe.items = ape.items;
    probe.warnings = ape.warnings;
    originals.settle(&probe.tags);
    let places = sniffed.id3v2.iter().chain(&trailers.id3v2);
    if let Some(tag) = Id3v2::first_of(fetched, places)? {
        borrow(tag, probe);
    }
    let more = trailer::read_tags(fetched, trailers, &mut probe.warnings)?;
    add_tags(more, probe);
    Ok(Place::Behind(originals))
}

/// Takes over what an `ID3v2` tag has and the `APEv2` tag does not.
fn borrow(tag: Id3v2, probe: &mut Probe) {
    let mut tags = tag.tags;
    for tag in &mut tags {
        if let Some(name) = tag.key.strip_prefix("TXXX:") {
            tag.key = name.to_owned();
        }
    }
    add_tags(tags, probe);
    if probe.art.is_empty() {
        probe.art = tag.art;
    }
    probe.warnings.extend(tag.warnings);
    for item in tag.items {
        probe.warnings.push(Warning::BadField {
            field: item.native,
            reason: "a frame of ID3v2 that has no place in APEv2 was left out".to_owned(),
        });
    }
}

fn add_tags(tags: Vec<Tag>, probe: &mut Probe) {
    let known: HashSet<String> = probe
        .tags
        .iter()
        .map(|tag| tag.key.to_ascii_lowercase())
        .collect();
    let is_new = |tag: &Tag| !known.contains(&tag.key.to_ascii_lowercase());
    probe.tags.extend(tags.into_iter().filter(is_new));
}

/// The TTA1 header: format, channels, bits (16 bits each), sample rate and samples (32 bits each), little endian.
fn true_audio(fetched: &Fetched, sniffed: &Sniffed) -> Result<AudioProperties, Stop> {
    const HEADER_BYTES: usize = 22;
    let is_whole = fetched.file_len() - sniffed.start >= HEADER_BYTES as u64;
    if !is_whole
        || !fetched
            .get(sniffed.start, HEADER_BYTES)?
            .starts_with(b"TTA1")
    {
        return Ok(AudioProperties::default());
    }
    let bytes = fetched.get(sniffed.start, HEADER_BYTES)?;
    let short = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let long = |at: usize| short(at) | short(at + 2) << 16;
    let rate = Some(long(10)).filter(|&rate| rate > 0);
    let duration_ms = rate.map(|rate| u64::from(long(14)) * 1000 / u64::from(rate));
    Ok(AudioProperties {
        duration_ms,
        sample_rate_hz: rate,
        channels: Some(short(6)),
        bits_per_sample: Some(short(8)),
        bitrate_bps: None,
    })
}

/// Lays out the served file.
///
/// # Errors
/// When an item or the tag is too large, or a range is outside the backing file.
pub(super) fn synthesize(
    structure: &ApeTaggedStructure,
    desired: &Desired<'_>,
) -> Result<Layout, SynthesisError> {
    let mut served = match &structure.tag {
        Place::Behind(_) => Assembly::default(),
        Place::InFront { origins, rewrites } => id3v2::write_any(desired, origins, rewrites)?,
    };
    served.backing(structure.audio.offset, structure.audio.len);
    if let Place::Behind(originals) = &structure.tag {
        served.append(apev2::write(desired, originals)?);
    }
    served.finish(desired.backing_len)
}
