//! Finds the header packets of an Ogg file by walking page headers; what the packets hold is not read.

use std::ops::Range;

use super::codec::{Codec, IDENTIFICATION_BYTES_MAX};
use super::pages::{
    BEGINS, Bodies, CONTINUED, ENDS, HEADER_PAGES_MAX, MARK, PAGE_BYTES_MAX, Packet, Page,
    PageTable,
};
use crate::formats::flac::{INVALID, LAST};
use crate::formats::region::{Extent, ahead};
use crate::formats::{Failure, Fetched, Stop, vorbis_comment};

/// Most streams that may begin together.
const STREAMS_MAX: usize = 64;

/// Most header packets of a stream.
const HEADER_PACKETS_MAX: usize = 1024;

/// Most bytes of all header packets together.
pub(super) const HEADER_BYTES_MAX: u64 = 256 << 20;

/// How often a page may be looked for where it is not, before each page is walked.
const MISSES_MAX: u32 = 16;

/// How far a page is looked for behind junk, in bytes.
const JUNK_BYTES_MAX: usize = 64 << 10;

/// How far from the file's end the last page is looked for, in bytes, one step after the other.
const TAIL_BYTES_STEPS: [u64; 4] = [2 << 10, 10 << 10, 26 << 10, PAGE_BYTES_MAX];

/// What is looked at there begins at a multiple of this, so that no block of a disk is read twice.
const TAIL_BLOCK_BYTES: u64 = 4096;

/// The headers of the first stream whose codec is known.
#[derive(Debug)]
pub(super) struct Headers {
    pub(super) codec: Codec,
    /// The first bytes of the first packet.
    pub(super) identification: Vec<u8>,
    pub(super) serial: u32,
    /// The number of the first page.
    pub(super) sequence: u32,
    /// The number of the page behind the headers.
    pub(super) audio_sequence: u32,
    pub(super) pages: PageTable,
    pub(super) bodies: Bodies,
    /// Where each packet but the first begins and ends in the run of bodies.
    pub(super) packets: Vec<(u64, u64)>,
    /// Where the pages behind the headers begin.
    pub(super) audio: u64,
    /// Whether the last page of the headers is the last of the stream.
    pub(super) ends: bool,
    /// Why the stream is to be left alone, if it is.
    pub(super) failure: Option<Failure>,
}

/// Where an Ogg file begins behind junk, in bytes from `start`.
///
/// # Errors
/// `NeedMore`.
pub(in crate::formats) fn find_first(fetched: &Fetched, start: u64) -> Result<Option<u64>, Stop> {
    let left = fetched.file_len() - start;
    let len = usize::try_from(left).map_or(JUNK_BYTES_MAX, |left| left.min(JUNK_BYTES_MAX));
    let bytes = fetched.get(start, len)?;
    let found = bytes
        .windows(MARK.len() + 1)
        .position(|window| window.starts_with(MARK) && window[MARK.len()] == BEGINS);
    Ok(found.map(|at| at as u64))
}

/// Finds the header packets of the file whose pages begin at `start`.
///
/// # Errors
/// `NeedMore`, or `Broken`: `Unsupported` when no stream has a codec that is known, or a limit, or damage.
pub(super) fn find(fetched: &Fetched, start: u64) -> Result<Headers, Stop> {
    let mut headers = None;
    let mut streams = 0;
    let mut offset = start;
    // Each stream begins with a page of its own, and no other page is between (RFC 3533, section 4).
    loop {
        let page = Page::read(fetched, offset, 0)?;
        if page.flags & BEGINS == 0 {
            break;
        }
        streams += 1;
        if streams > STREAMS_MAX {
            return Err(Stop::Broken(Failure::OverLimit));
        }
        if headers.is_none() {
            headers = identify(fetched, &page)?;
        }
        offset = page.end();
        if offset >= fetched.file_len() {
            break;
        }
    }
    let mut headers = headers.ok_or(Stop::Broken(Failure::Unsupported))?;
    if streams > 1 {
        headers.failure = Some(Failure::Unsupported);
    }
    headers.walk(fetched, offset)?;
    Ok(headers)
}

/// The headers of a stream that begins with `page`, if its codec is known.
fn identify(fetched: &Fetched, page: &Page<'_>) -> Result<Option<Headers>, Stop> {
    let body = page.body();
    let len = usize::try_from(body.len.min(IDENTIFICATION_BYTES_MAX)).expect("bounded");
    let packet = fetched.get(body.offset, len)?;
    let Some(codec) = Codec::of(packet) else {
        return Ok(None);
    };
    let mut pages = PageTable::new(page.offset);
    let mut bodies = Bodies::default();
    pages.push(page);
    bodies.push(body);
    // The first packet has the first page for itself.
    let alone = page.lacing.iter().position(|&len| len < 255) == page.lacing.len().checked_sub(1);
    Ok(Some(Headers {
        codec,
        identification: packet.to_vec(),
        serial: page.serial,
        sequence: page.sequence,
        audio_sequence: page.sequence.wrapping_add(1),
        pages,
        bodies,
        packets: Vec::new(),
        audio: page.end(),
        ends: page.flags & ENDS != 0,
        failure: (!alone).then_some(Failure::Malformed),
    }))
}

impl Headers {
    /// Walks the pages behind the first one until the last header packet ends.
    fn walk(&mut self, fetched: &Fetched, start: u64) -> Result<(), Stop> {
        let wanted = self.codec.further_packets(&self.identification);
        let mut offset = start;
        let mut packet_start = self.bodies.len();
        let mut packet_end = packet_start;
        let mut before: Option<Page<'_>> = None;
        let mut misses = 0;
        for count in 0.. {
            // Further than the next page only where pages are short.
            let page_len = before.map_or(0, |before| before.end() - before.offset);
            let wide = Some(ahead(count)).filter(|&ahead| ahead > page_len);
            let page = Page::read(fetched, offset, wide.unwrap_or(0))?;
            offset = page.end();
            if offset > fetched.file_len() {
                return Err(Stop::Broken(Failure::Truncated));
            }
            // Pages of other streams count as well.
            let walked = count.max(self.bodies.count());
            if walked >= HEADER_PAGES_MAX || self.bodies.len() > HEADER_BYTES_MAX {
                return Err(Stop::Broken(Failure::OverLimit));
            }
            if page.serial != self.serial {
                self.failure = Some(Failure::Unsupported);
                continue;
            }
            self.push(&page);
            let inner = |page: &Page<'_>| page.lacing.iter().all(|&len| len == 255);
            let repeats = before.is_some_and(|before| before.lacing == page.lacing);
            if repeats && inner(&page) && misses < MISSES_MAX && self.failure.is_none() {
                let packet = packet_start..packet_end + page.body().len;
                let mut skipped = page;
                for _ in 0..self.alike(fetched, &page, packet, &mut misses)? {
                    skipped.offset = offset;
                    skipped.sequence = skipped.sequence.wrapping_add(1);
                    self.push(&skipped);
                    packet_end += skipped.body().len;
                    offset = skipped.end();
                }
            }
            before = Some(page);
            for (index, &len) in page.lacing.iter().enumerate() {
                packet_end += u64::from(len);
                if len == 255 {
                    continue;
                }
                if self.packets.len() == HEADER_PACKETS_MAX {
                    return Err(Stop::Broken(Failure::OverLimit));
                }
                self.packets.push((packet_start, packet_end));
                packet_start = packet_end;
                if self.is_last(fetched, wanted)? {
                    // The sound begins with a page of its own.
                    if index + 1 < page.lacing.len() {
                        self.failure.get_or_insert(Failure::Malformed);
                    }
                    return Ok(());
                }
            }
        }
        unreachable!("the walk ends within its limits")
    }

    /// Adds a page behind the others.
    fn push(&mut self, page: &Page<'_>) {
        self.pages.push(page);
        self.bodies.push(page.body());
        self.audio = page.end();
        self.audio_sequence = page.sequence.wrapping_add(1);
        self.ends = page.flags & ENDS != 0;
    }

    /// How many pages that are like `page` follow it, so that their headers need not be read: as many as what it holds a
    /// part of says that it is long, if the last of them is where it must be, with the number that it must have.
    /// `packet` is where the packet begins in the run of bodies, and how far it was walked. Counts in `misses` how often no
    /// such page was there.
    fn alike(
        &self,
        fetched: &Fetched,
        page: &Page<'_>,
        packet: Range<u64>,
        misses: &mut u32,
    ) -> Result<u64, Stop> {
        let claimed = match self.claimed_end(fetched, packet.clone()) {
            Err(Stop::Broken(_)) => return Ok(0),
            other => other?,
        };
        let len = page.end() - page.offset;
        let room = (HEADER_PAGES_MAX - self.bodies.count().min(HEADER_PAGES_MAX)) as u64;
        let mut count = (claimed.saturating_sub(packet.end) / page.body().len.max(1))
            .min((fetched.file_len() - page.end()) / len)
            .min(room);
        let mut back = 1;
        while count > 0 && *misses < MISSES_MAX {
            let number = u32::try_from(count).expect("bounded by the limit of pages");
            match Page::read(fetched, page.offset + count * len, 0) {
                Ok(last)
                    if last.serial == page.serial
                        && last.sequence == page.sequence.wrapping_add(number)
                        && last.flags == CONTINUED
                        && last.lacing == page.lacing =>
                {
                    return Ok(count);
                }
                Err(more @ Stop::NeedMore(_)) => return Err(more),
                Ok(_) | Err(Stop::Broken(_)) => {
                    *misses += 1;
                    count = count.saturating_sub(back);
                    back *= 2;
                }
            }
        }
        Ok(0)
    }

    /// Where the comment or the block that goes on behind `packet`, as far as that was walked, says that it ends in the run
    /// of bodies.
    fn claimed_end(&self, fetched: &Fetched, packet: Range<u64>) -> Result<u64, Stop> {
        let walked = Packet {
            fetched,
            bodies: &self.bodies,
            start: packet.start,
            len: packet.end - packet.start,
        };
        if self.codec == Codec::Flac && !self.packets.is_empty() {
            let header = walked.get(0, 4, 0)?;
            let len = u32::from_be_bytes([0, header[1], header[2], header[3]]);
            return Ok(packet.start + 4 + u64::from(len));
        }
        if !self.packets.is_empty() {
            return Ok(packet.end);
        }
        let list = walked.behind(self.codec.comment_offset())?;
        Ok(list.start + vorbis_comment::reach(&list)?)
    }

    /// Whether the packet that was found last is the last of the headers.
    fn is_last(&self, fetched: &Fetched, wanted: Option<u32>) -> Result<bool, Stop> {
        if wanted.is_some_and(|wanted| self.packets.len() >= wanted as usize) {
            return Ok(true);
        }
        if self.codec != Codec::Flac {
            return Ok(false);
        }
        let packet = self.packet(fetched, self.packets.len() - 1);
        let kind = packet.get(0, 1, 0)?[0];
        if kind & !LAST == INVALID {
            return Err(Stop::Broken(Failure::Malformed));
        }
        Ok(kind & LAST != 0)
    }

    /// The header packet of that index, the one behind the first being 0.
    pub(super) fn packet<'a>(&'a self, fetched: &'a Fetched, index: usize) -> Packet<'a> {
        let (start, end) = self.packets[index];
        Packet {
            fetched,
            bodies: &self.bodies,
            start,
            len: end - start,
        }
    }
}

/// What the last page of the file says: its stream, its granule position where a packet ends in it, its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastPage {
    pub(super) serial: u32,
    pub(super) granule: Option<u64>,
    /// Where it ends in the file.
    pub(super) end: u64,
}

/// Looks for the last page that begins behind `start`; `None` where none is found as far back as a page is long.
///
/// # Errors
/// `NeedMore`.
pub(super) fn last_page(fetched: &Fetched, start: u64) -> Result<Option<LastPage>, Stop> {
    let mut bytes = Vec::new();
    let mut first = fetched.file_len();
    for step in TAIL_BYTES_STEPS {
        let block = fetched.file_len().saturating_sub(step) / TAIL_BLOCK_BYTES;
        let from = (block * TAIL_BLOCK_BYTES).clamp(start.min(first), first);
        let len = usize::try_from(first - from).expect("a step and a block");
        bytes = [fetched.get(from, len)?, &bytes].concat();
        first = from;
        let found = (0..len)
            .rev()
            .filter(|&at| bytes[at] == MARK[0])
            .find_map(|at| Page::parse(&bytes[at..], first + at as u64));
        if let Some(page) = found.filter(|page| page.flags <= 7) {
            return Ok(Some(LastPage {
                serial: page.serial,
                granule: Some(page.granule).filter(|&granule| granule != u64::MAX),
                end: page.end().min(fetched.file_len()),
            }));
        }
    }
    Ok(None)
}
