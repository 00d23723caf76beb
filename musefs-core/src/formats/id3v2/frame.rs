//! Frame headers of the three versions, brought into the form of 2.4.

use super::body::Body;
use super::{big_endian, syncsafe, syncsafe_bytes};
use crate::formats::Stop;

/// Frame flags of 2.4 (structure, section 4.1).
pub(super) const GROUPED: u16 = 0x0040;
pub(super) const COMPRESSED: u16 = 0x0008;
pub(super) const ENCRYPTED: u16 = 0x0004;
pub(super) const UNSYNCHRONISED: u16 = 0x0002;
pub(super) const HAS_DATA_LENGTH: u16 = 0x0001;
/// The body is stored otherwise than it is meant.
pub(super) const TRANSFORMED: u16 = COMPRESSED | ENCRYPTED | UNSYNCHRONISED;

/// A frame of any version, described as one of 2.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) id: [u8; 4],
    pub(super) flags: u16,
    /// Start of the body in the tag, after what 2.3 puts in front of it.
    pub(super) body: u64,
    /// Length of the body from there, in bytes.
    pub(super) len: u64,
    /// What 2.4 puts in front of this body and the file does not have in that form.
    pub(super) prefix: Vec<u8>,
    /// Bytes at the start of the body that belong to its flags.
    pub(super) skip: u64,
    /// Start of the next frame.
    pub(super) end: u64,
}

/// What stands at an offset of a tag.
pub(super) enum Next {
    Frame(Frame),
    /// A frame whose id has no form in 2.4.
    Unnamed {
        native: String,
        end: u64,
    },
    /// Padding, or the end of the tag.
    End,
    Damaged(String),
}

impl Frame {
    /// Reads the header at `offset` of a tag of version `major` with these tag flags.
    pub(super) fn read(
        body: &Body<'_>,
        major: u8,
        tag_flags: u8,
        offset: u64,
        ahead: u64,
    ) -> Result<Next, Stop> {
        let header_len: u64 = if major == 2 { 6 } else { 10 };
        let left = body.len().saturating_sub(offset);
        if left < header_len {
            return Ok(Next::End);
        }
        let header = body.get(offset, usize::try_from(header_len).expect("ten"), ahead)?;
        if header[0] == 0 {
            return Ok(Next::End);
        }
        let id_len = if major == 2 { 3 } else { 4 };
        let stated = &header[..id_len];
        if !is_id(stated) {
            return Ok(Next::Damaged(format!(
                "no frame starts {offset} bytes into the tag"
            )));
        }
        let native = String::from_utf8_lossy(stated).into_owned();
        let start = offset + header_len;
        let left = left - header_len;
        let len = match major {
            2 => u64::from(big_endian(&header[3..6])),
            3 => u64::from(big_endian(&header[4..8])),
            _ => version_4_len(body, &header[4..8], start, ahead)?,
        };
        if len > left {
            return Ok(Next::Damaged(format!(
                "frame {native} states {len} bytes, the tag has {left} left"
            )));
        }
        let end = start + len;
        let mut frame = Self {
            id: [0; 4],
            flags: 0,
            body: start,
            len,
            prefix: Vec::new(),
            skip: 0,
            end,
        };
        match major {
            2 => match id_of_version_2(stated) {
                Some(id) => frame.id = *id,
                None => return Ok(Next::Unnamed { native, end }),
            },
            3 => {
                frame.id.copy_from_slice(stated);
                if !frame.take_version_3_flags(body, header[8], header[9])? {
                    return Ok(Next::Damaged(format!(
                        "frame {native} is too short for its flags"
                    )));
                }
            }
            _ => {
                frame.id.copy_from_slice(stated);
                frame.flags = u16::from_be_bytes([header[8], header[9]]);
                if tag_flags & super::UNSYNCHRONISED != 0 {
                    frame.flags |= UNSYNCHRONISED;
                }
                for (flag, bytes) in [(GROUPED, 1), (ENCRYPTED, 1), (HAS_DATA_LENGTH, 4)] {
                    if frame.flags & flag != 0 {
                        frame.skip += bytes;
                    }
                }
            }
        }
        Ok(Next::Frame(frame))
    }

    /// The frame id as text.
    pub(super) fn native(&self) -> String {
        String::from_utf8_lossy(&self.id).into_owned()
    }

    /// Turns the flags of 2.3 (section 3.3.1) and the bytes that they put in front of the body into those of 2.4. False
    /// when the body is too short for them.
    fn take_version_3_flags(
        &mut self,
        body: &Body<'_>,
        status: u8,
        format: u8,
    ) -> Result<bool, Stop> {
        self.flags = u16::from(status >> 1) << 8 & 0x7000;
        let (compressed, encrypted, grouped) =
            (format & 0x80 != 0, format & 0x40 != 0, format & 0x20 != 0);
        let extra = usize::from(compressed) * 4 + usize::from(encrypted) + usize::from(grouped);
        if (extra as u64) > self.len {
            return Ok(false);
        }
        let bytes = body.get(self.body, extra, 0)?;
        let (size, rest) = bytes.split_at(if compressed { 4 } else { 0 });
        let (method, group) = rest.split_at(usize::from(encrypted));
        self.prefix.extend_from_slice(group);
        self.prefix.extend_from_slice(method);
        if grouped {
            self.flags |= GROUPED;
        }
        if encrypted {
            self.flags |= ENCRYPTED;
        }
        if compressed {
            self.flags |= COMPRESSED | HAS_DATA_LENGTH;
            self.prefix
                .extend_from_slice(&syncsafe_bytes(big_endian(size)));
        }
        self.body += extra as u64;
        self.len -= extra as u64;
        Ok(true)
    }
}

/// The length of a 2.4 frame. Some taggers (early iTunes) wrote plain numbers where 2.4 has syncsafe ones: what follows the
/// frame tells.
fn version_4_len(body: &Body<'_>, size: &[u8], start: u64, ahead: u64) -> Result<u64, Stop> {
    let plain = u64::from(big_endian(size));
    let Some(safe) = syncsafe(size).map(u64::from) else {
        return Ok(plain);
    };
    if safe == plain || frame_follows(body, start + safe, ahead)? {
        return Ok(safe);
    }
    Ok(if frame_follows(body, start + plain, ahead)? {
        plain
    } else {
        safe
    })
}

/// Whether a frame, padding or the end of the tag is at `offset`.
fn frame_follows(body: &Body<'_>, offset: u64, ahead: u64) -> Result<bool, Stop> {
    match body.len().checked_sub(offset) {
        None => Ok(false),
        Some(left) if left < 10 => Ok(true),
        Some(_) => {
            let id = body.get(offset, 4, ahead)?;
            Ok(id == [0; 4] || is_id(id))
        }
    }
}

/// Whether these bytes can be the id of a frame.
pub(super) fn is_id(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_uppercase)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The id that 2.3 and 2.4 give to a frame of 2.2.
fn id_of_version_2(id: &[u8]) -> Option<&'static [u8; 4]> {
    #[rustfmt::skip]
    const IDS: &[(&[u8; 3], &[u8; 4])] = &[
        (b"BUF", b"RBUF"), (b"CNT", b"PCNT"), (b"COM", b"COMM"), (b"CRA", b"AENC"), (b"ETC", b"ETCO"), (b"EQU", b"EQUA"),
        (b"GEO", b"GEOB"), (b"GP1", b"GRP1"), (b"IPL", b"IPLS"), (b"LNK", b"LINK"), (b"MCI", b"MCDI"), (b"MLL", b"MLLT"),
        (b"MVI", b"MVIN"), (b"MVN", b"MVNM"), (b"PCS", b"PCST"), (b"PIC", b"APIC"), (b"POP", b"POPM"), (b"REV", b"RVRB"),
        (b"RVA", b"RVAD"), (b"SLT", b"SYLT"), (b"STC", b"SYTC"), (b"TAL", b"TALB"), (b"TBP", b"TBPM"), (b"TCM", b"TCOM"),
        (b"TCO", b"TCON"), (b"TCP", b"TCMP"), (b"TCR", b"TCOP"), (b"TCT", b"TCAT"), (b"TDA", b"TDAT"), (b"TDR", b"TDRL"),
        (b"TDS", b"TDES"), (b"TDY", b"TDLY"), (b"TEN", b"TENC"), (b"TFT", b"TFLT"), (b"TID", b"TGID"), (b"TIM", b"TIME"),
        (b"TKE", b"TKEY"), (b"TKW", b"TKWD"), (b"TLA", b"TLAN"), (b"TLE", b"TLEN"), (b"TMT", b"TMED"), (b"TOA", b"TOPE"),
        (b"TOF", b"TOFN"), (b"TOL", b"TOLY"), (b"TOR", b"TORY"), (b"TOT", b"TOAL"), (b"TP1", b"TPE1"), (b"TP2", b"TPE2"),
        (b"TP3", b"TPE3"), (b"TP4", b"TPE4"), (b"TPA", b"TPOS"), (b"TPB", b"TPUB"), (b"TRC", b"TSRC"), (b"TRD", b"TRDA"),
        (b"TRK", b"TRCK"), (b"TS2", b"TSO2"), (b"TSA", b"TSOA"), (b"TSC", b"TSOC"), (b"TSI", b"TSIZ"), (b"TSP", b"TSOP"),
        (b"TSS", b"TSSE"), (b"TST", b"TSOT"), (b"TT1", b"TIT1"), (b"TT2", b"TIT2"), (b"TT3", b"TIT3"), (b"TXT", b"TEXT"),
        (b"TXX", b"TXXX"), (b"TYE", b"TYER"), (b"UFI", b"UFID"), (b"ULT", b"USLT"), (b"WAF", b"WOAF"), (b"WAR", b"WOAR"),
        (b"WAS", b"WOAS"), (b"WCM", b"WCOM"), (b"WCP", b"WCOP"), (b"WFD", b"WFED"), (b"WPB", b"WPUB"), (b"WXX", b"WXXX"),
    ];
    IDS.iter()
        .find(|(known, _)| known.as_slice() == id)
        .map(|(_, id)| *id)
}
