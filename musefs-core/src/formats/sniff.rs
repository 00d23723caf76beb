//! What kind of file this is, by its content. The extension only decides how hard to look for MPEG audio.

use super::mp3::{self, Stream};
use super::{ByteRange, Failure, Fetched, Format, Stop, id3v2, ogg};

/// Most `ID3v2` tags in front of the audio.
const LEADING_TAGS_MAX: usize = 8;

/// What sniffing found.
#[derive(Debug)]
pub(super) struct Sniffed {
    pub(super) format: Format,
    /// `ID3v2` tags in front of everything else.
    pub(super) id3v2: Vec<ByteRange>,
    /// Where the format itself starts.
    pub(super) start: u64,
    /// The MPEG stream, where it is one.
    pub(super) stream: Option<Stream>,
}

/// Tells the format of a file.
///
/// # Errors
/// `NeedMore`, or `Broken`: `Empty`, `Unrecognised`, or `Truncated` within a leading `ID3v2` tag.
pub(super) fn sniff(fetched: &Fetched, extension: Option<&str>) -> Result<Sniffed, Stop> {
    if fetched.file_len() == 0 {
        return Err(Stop::Broken(Failure::Empty));
    }
    let mut id3v2 = Vec::new();
    let mut start = 0;
    while let Some(place) = id3v2::place(fetched, start)? {
        if id3v2.len() == LEADING_TAGS_MAX {
            return Err(Stop::Broken(Failure::OverLimit));
        }
        start = place.end();
        id3v2.push(place);
    }
    let left = fetched.file_len() - start;
    let head = fetched.get(start, usize::try_from(left.min(16)).expect("at most 16"))?;
    let promised = extension.and_then(Format::from_extension);
    let mut format = by_magic(head);
    if format.is_none() && promised == Some(Format::Mp4) && is_atom(head) {
        format = Some(Format::Mp4);
    }
    if format.is_none()
        && promised == Some(Format::Ogg)
        && let Some(junk) = ogg::find_first(fetched, start)?
    {
        start += junk;
        format = Some(Format::Ogg);
    }
    if format.is_none() && is_adts(fetched, start, head)? {
        format = Some(Format::Adts);
    }
    let mut stream = None;
    if format.is_none() {
        let search = promised == Some(Format::Mp3) || !id3v2.is_empty();
        stream = mp3::find(fetched, start, search)?;
        format = stream.as_ref().map(|_| Format::Mp3);
    }
    let format = format.ok_or(Stop::Broken(Failure::Unrecognised))?;
    Ok(Sniffed {
        format,
        id3v2,
        start,
        stream,
    })
}

fn by_magic(head: &[u8]) -> Option<Format> {
    let at = |offset: usize, magic: &[u8]| {
        head.get(offset..offset + magic.len())
            .is_some_and(|found| found == magic)
    };
    let riff = at(0, b"RIFF") || at(0, b"RF64") || at(0, b"BW64");
    if at(0, b"fLaC") {
        Some(Format::Flac)
    } else if at(0, b"OggS") {
        Some(Format::Ogg)
    } else if riff && at(8, b"WAVE") {
        Some(Format::Wav)
    } else if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) {
        Some(Format::Aiff)
    } else if at(4, b"ftyp") {
        Some(Format::Mp4)
    } else if at(0, b"MAC ") {
        Some(Format::Ape)
    } else if at(0, b"wvpk") {
        Some(Format::WavPack)
    } else if at(0, b"MPCK") || at(0, b"MP+") {
        Some(Format::Musepack)
    } else if at(0, b"TTA1") || at(0, b"TTA2") {
        Some(Format::TrueAudio)
    } else {
        None
    }
}

/// First atoms of MP4 files from before `ftyp` was the rule.
fn is_atom(head: &[u8]) -> bool {
    head.get(4..8).is_some_and(|kind| {
        [b"moov", b"mdat", b"free", b"skip", b"wide"]
            .iter()
            .any(|known| known.as_slice() == kind)
    })
}

/// Two ADTS frames one after the other, or one that ends the file (ISO/IEC 13818-7, section 6.2).
fn is_adts(fetched: &Fetched, start: u64, head: &[u8]) -> Result<bool, Stop> {
    let is_sync = |head: &[u8]| head[0] == 0xff && head[1] & 0xf6 == 0xf0;
    if head.len() < 7 || !is_sync(head) {
        return Ok(false);
    }
    let len = u64::from(head[3] & 0b11) << 11 | u64::from(head[4]) << 3 | u64::from(head[5] >> 5);
    let next = start + len;
    if len < 7 || next > fetched.file_len() {
        return Ok(false);
    }
    if fetched.file_len() - next < 2 {
        return Ok(true);
    }
    fetched.get(next, 2).map(is_sync)
}
