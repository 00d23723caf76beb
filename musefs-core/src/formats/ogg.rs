//! Ogg files with one stream of Vorbis, Opus, Speex or FLAC (RFC 3533; Vorbis I specification, section 5 and appendix A.2;
//! RFC 7845; the Speex manual; RFC 9639, section 10.1).
//!
//! Served as the identification page, pages made of the new comments and of the other header packets, and the pages of the
//! sound. Where the headers fit as many pages as they had, the pages of the sound keep their numbers and are served as they
//! are; else their numbers and checksums move when they are read.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::flac;
use super::region::{Extent, Places};
use super::sniff::Sniffed;
use super::vorbis_comment::{self, CommentList, Comments};
use super::{
    Art, ByteRange, Description, Desired, Failure, Fetched, Format, Loss, Probe, Source, Stop,
    Structure, SynthesisError,
};
use crate::layout::derived::{Derived, OggPages};
use crate::layout::{BlobKind, Layout, Segment};

mod codec;
mod headers;
mod pages;
mod paginate;
mod pictures;

use codec::{BLOCK_HEADER_BYTES, Codec};
use headers::Headers;
use pages::{Bodies, PageTable};
use paginate::Stream;
use pictures::Picture;

pub(super) use headers::find_first;

/// What is said of the format.
pub(super) const DESCRIPTION: Description = Description {
    name: "ogg",
    title: "Ogg (Vorbis, Opus, Speex, FLAC)",
    extensions: &["ogg", "oga", "opus", "spx"],
    read: &["Vorbis comments", "PICTURE blocks of FLAC"],
    kept: &[
        "pictures",
        "comments that nobody changed, byte for byte",
        "comments over 1 MiB",
        "the other header packets",
    ],
    written: &[
        "one comment packet, in pages of its own",
        "PICTURE blocks of FLAC",
    ],
    audio: "all packets, byte for byte; the numbers and checksums of their pages follow the headers",
    left_alone: &[
        "chained streams",
        "several streams at once",
        "streams of other codecs",
    ],
    losses: &[Loss {
        what: "the division of header packets into pages",
        why: "the comments are of another length",
        sample: "two_pages_of_comments.opus",
    }],
};

/// Where the number of further header packets stands in the first packet of FLAC, and its length in bytes.
const FLAC_COUNT: (u64, u64) = (7, 2);

/// The last byte of a Vorbis comment packet, for one that has none.
const VORBIS_FRAMING: &[u8] = &[1];

/// How an Ogg file is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OggStructure {
    codec: Codec,
    serial: u32,
    /// The number of the first page.
    sequence: u32,
    /// The number of the page behind the headers.
    audio_sequence: u32,
    pages: PageTable,
    comments: CommentList,
    /// What follows the list in the packet of comments: the framing bit of Vorbis, padding, binary data (RFC 7845,
    /// section 5.2).
    tail: Option<ByteRange>,
    pictures: Vec<Picture>,
    /// The header packets behind the comments that are served as they are; of FLAC, the bodies of PADDING blocks.
    further: Vec<ByteRange>,
    /// How many header packets the first packet of FLAC says that there are; 0 where it does not.
    flac_count: u16,
    /// The pages behind the headers.
    audio: ByteRange,
    /// What is behind the last page of the file.
    behind: ByteRange,
    /// Whether the last page of the headers is the last of the stream.
    ends: bool,
}

/// Takes an Ogg file apart. Of a file with several streams the first that is known gives the tags; it is served as it is.
///
/// # Errors
/// `NeedMore`, or `Broken` when the header packets are not there, or are not what their codec says.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let headers = headers::find(fetched, sniffed.start)?;
    let mut probe = Probe::as_is(Format::Ogg);
    let mut further = Vec::new();
    let mut comments = Comments::default();
    if headers.codec == Codec::Flac {
        flac_blocks(fetched, &headers, &mut probe, &mut further, &mut comments)?;
    } else {
        let mark = headers.codec.comment_mark();
        let packet = headers.packet(fetched, 0);
        if *packet.get(0, mark.len(), 0)? != *mark {
            return Err(Stop::Broken(Failure::Malformed));
        }
        let list = packet.behind(mark.len() as u64)?;
        comments = vorbis_comment::read(&[list])?;
        let packets = 1..headers.packets.len();
        further.extend(packets.map(|index| headers.packet(fetched, index).whole()));
    }
    let tail = tail(fetched, &headers, comments.end)?;
    let pictures = pictures::take(fetched, &headers, &mut comments)?;
    probe.tags = comments.tags;
    probe.items.extend(comments.items);
    probe.warnings.extend(comments.warnings);
    let (art, pictures): (Vec<Art>, Vec<Picture>) = pictures.into_iter().unzip();
    probe.art.extend(art);
    if comments.list.is_empty() {
        flac::borrow_from_id3v2(fetched, sniffed, &mut probe)?;
    }
    let last = headers::last_page(fetched, headers.audio)?;
    let audio_end = last.map_or(fetched.file_len(), |last| last.end);
    let audio = ByteRange {
        offset: headers.audio,
        len: audio_end - headers.audio,
    };
    let behind = ByteRange {
        offset: audio_end,
        len: fetched.file_len() - audio_end,
    };
    let chained = last.is_some_and(|last| last.serial != headers.serial);
    let failure = headers.failure.or(chained.then_some(Failure::Unsupported));
    if let Some(failure) = failure {
        return Ok(Probe {
            failure: Some(failure),
            tags: probe.tags,
            warnings: probe.warnings,
            ..Probe::as_is(Format::Ogg)
        });
    }
    let granule = last.and_then(|last| last.granule);
    probe.properties = headers
        .codec
        .properties(&headers.identification, granule, audio.len);
    let flac_count = headers.codec.further_packets(&headers.identification);
    probe.structure = Structure::Ogg(OggStructure {
        codec: headers.codec,
        serial: headers.serial,
        sequence: headers.sequence,
        audio_sequence: headers.audio_sequence,
        pages: headers.pages,
        comments: comments.list,
        tail,
        pictures,
        further,
        flac_count: flac_count
            .filter(|_| headers.codec == Codec::Flac)
            .and_then(|count| u16::try_from(count).ok())
            .unwrap_or(0),
        audio,
        behind,
        ends: headers.ends,
    });
    Ok(probe)
}

/// What follows the list in the packet of comments.
fn tail(fetched: &Fetched, headers: &Headers, end: u64) -> Result<Option<ByteRange>, Stop> {
    let head = headers.codec.comment_offset();
    let tail = headers.packet(fetched, 0).behind(head + end)?;
    Ok((tail.len > 0).then(|| tail.whole()))
}

/// Reads the header packets of FLAC, each a metadata block.
fn flac_blocks(
    fetched: &Fetched,
    headers: &Headers,
    probe: &mut Probe,
    padding: &mut Vec<ByteRange>,
    comments: &mut Comments,
) -> Result<(), Stop> {
    for index in 0..headers.packets.len() {
        let packet = headers.packet(fetched, index);
        let kind = packet.get(0, 1, 0)?[0] & !flac::LAST;
        let body = packet.behind(BLOCK_HEADER_BYTES)?;
        match kind {
            // The comments come first (RFC 9639, section 10.1).
            flac::VORBIS_COMMENT if index == 0 => *comments = vorbis_comment::read(&[body])?,
            flac::VORBIS_COMMENT | flac::STREAMINFO | flac::INVALID => {
                return Err(Stop::Broken(Failure::Malformed));
            }
            _ if index == 0 => return Err(Stop::Broken(Failure::Malformed)),
            flac::PADDING => padding.push(body.whole()),
            flac::PICTURE => {
                if let Some(art) = flac::picture(&body)? {
                    probe.art.push(art);
                } else {
                    probe.warnings.push(flac::contradicting_picture());
                    probe.items.push(flac::kept(kind, body.whole()));
                }
            }
            _ => probe.items.push(flac::kept(kind, body.whole())),
        }
    }
    Ok(())
}

/// Lays out the served file.
///
/// # Errors
/// When an item is larger than its container can say, a kept item has no place in this codec, or a range is outside the
/// backing file.
pub(super) fn synthesize(
    structure: &OggStructure,
    desired: &Desired<'_>,
) -> Result<Layout, SynthesisError> {
    let bodies = structure.pages.bodies();
    let packets = match structure.codec {
        Codec::Flac => structure.flac_packets(desired, &bodies)?,
        Codec::Vorbis | Codec::Opus | Codec::Speex => structure.packets(desired, &bodies)?,
    };
    let mut stream = Stream {
        serial: structure.serial,
        sequence: structure.sequence,
        begins: true,
        ends: false,
        backing_len: desired.backing_len,
    };
    let mut served = Assembly::default();
    let first = structure.first_page(packets.len(), &bodies, &stream, &mut served)?;
    stream.begins = false;
    stream.sequence = structure.sequence.wrapping_add(first);
    stream.ends = structure.ends;
    // With as many pages as before, the pages of the sound keep their numbers.
    let wanted = structure.audio_sequence.wrapping_sub(stream.sequence);
    let made = paginate::paginate(packets, wanted, &stream, &mut served)?;
    let by = stream
        .sequence
        .wrapping_add(made)
        .wrapping_sub(structure.audio_sequence);
    let audio = structure.audio;
    if by == 0 || audio.len == 0 {
        served.backing(audio.offset, audio.len);
    } else {
        served.segment(Segment::Derived(Arc::new(Derived::OggPages(OggPages {
            offset: audio.offset,
            len: audio.len,
            serial: structure.serial,
            by,
        }))));
    }
    served.backing(structure.behind.offset, structure.behind.len);
    served.finish(desired.backing_len)
}

impl OggStructure {
    /// Appends the page of the first packet: as it is, unless FLAC's number of header packets is another. How many pages.
    fn first_page(
        &self,
        packets: usize,
        bodies: &Bodies,
        stream: &Stream,
        into: &mut Assembly,
    ) -> Result<u32, SynthesisError> {
        let count = u16::try_from(packets).unwrap_or(0);
        if self.flac_count == 0 || self.flac_count == count {
            let page = self.pages.first_page();
            into.backing(page.offset, page.len);
            return Ok(1);
        }
        let body = bodies.first().unwrap_or(ByteRange { offset: 0, len: 0 });
        let (start, len) = FLAC_COUNT;
        let mut packet = Assembly::default();
        packet.backing(body.offset, start);
        packet.bytes(&count.to_be_bytes());
        let behind = start + len;
        packet.backing(
            body.offset.saturating_add(behind),
            body.len.saturating_sub(behind),
        );
        paginate::paginate(vec![packet], 1, stream, into)
    }

    fn packets(
        &self,
        desired: &Desired<'_>,
        bodies: &Bodies,
    ) -> Result<Vec<Assembly>, SynthesisError> {
        let stray = desired
            .items
            .iter()
            .find(|item| !vorbis_comment::is_kept_comment(&item.native));
        if let Some(item) = stray {
            return Err(SynthesisError::BadItem {
                native: item.native.clone(),
            });
        }
        let mut comments = Assembly::default();
        comments.bytes(self.codec.comment_mark());
        comments.append(self.list(desired, desired.art, bodies)?);
        let mut packets = vec![comments];
        packets.extend(self.further.iter().map(|&range| stored(range, bodies)));
        Ok(packets)
    }

    /// Each block as a packet, the comments first. Pictures that the file has as blocks stay blocks; the others are comments,
    /// which more programs read in Ogg.
    fn flac_packets(
        &self,
        desired: &Desired<'_>,
        bodies: &Bodies,
    ) -> Result<Vec<Assembly>, SynthesisError> {
        let (blocks_kept, in_comments): (Vec<&Art>, Vec<&Art>) =
            desired.art.iter().partition(|art| {
                matches!(art.source, Source::Backing(_))
                    && !pictures::is_comment(art, &self.pictures)
            });
        let comments = self.list(desired, in_comments, bodies)?;
        let mut blocks = vec![(flac::VORBIS_COMMENT, "VORBIS_COMMENT", comments)];
        for item in desired.items {
            if vorbis_comment::is_kept_comment(&item.native) {
                continue;
            }
            let mut body = Assembly::default();
            body.stored(item.source, BlobKind::BinaryTag, bodies);
            blocks.push((flac::block_type(&item.native)?, &item.native, body));
        }
        for art in blocks_kept {
            let mut data = Assembly::default();
            data.stored(art.source, BlobKind::Art, bodies);
            let mut body = Assembly::default();
            body.bytes(&flac::picture_head(art, data.len())?);
            body.append(data);
            blocks.push((flac::PICTURE, "PICTURE", body));
        }
        for &padding in &self.further {
            blocks.push((flac::PADDING, "PADDING", stored(padding, bodies)));
        }
        let last = blocks.len() - 1;
        blocks
            .into_iter()
            .enumerate()
            .map(|(index, (kind, what, body))| {
                let kind = if index == last {
                    kind | flac::LAST
                } else {
                    kind
                };
                let mut packet = Assembly::default();
                flac::block(kind, what, body, &mut packet)?;
                Ok(packet)
            })
            .collect()
    }

    /// The list of comments with the pictures `art`, and what follows it in its packet.
    fn list<'a>(
        &self,
        desired: &Desired<'_>,
        art: impl IntoIterator<Item = &'a Art>,
        bodies: &Bodies,
    ) -> Result<Assembly, SynthesisError> {
        let pictures = art
            .into_iter()
            .map(|art| pictures::comment(art, &self.pictures, bodies, desired.backing_len))
            .collect::<Result<_, _>>()?;
        let mut list = self
            .comments
            .write(desired.tags, desired.items, pictures, bodies)?;
        match self.tail {
            Some(tail) => list.append(stored(tail, bodies)),
            None if self.codec == Codec::Vorbis => list.bytes(VORBIS_FRAMING),
            None => {}
        }
        Ok(list)
    }
}

/// The bytes of a range without the page headers in it.
fn stored(range: ByteRange, places: &impl Places) -> Assembly {
    let mut bytes = Assembly::default();
    bytes.stored(Source::Backing(range), BlobKind::BinaryTag, places);
    bytes
}
