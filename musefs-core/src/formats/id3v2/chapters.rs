//! The frames within chapter frames. They have headers like those of the tag around them, so a CHAP or CTOC of 2.3 needs
//! other sizes in a tag of 2.4.

use super::body::Body;
use super::frame::{Frame, is_id};
use super::{Splice, big_endian, syncsafe_bytes};
use crate::formats::Stop;

/// Most frames within one chapter frame.
const FRAMES_MAX: usize = 64;

/// Longest element names and entry lists in front of the frames, in bytes.
const HEAD_BYTES_MAX: usize = 4096;

/// What to replace in a kept frame of 2.3 so that it is one of 2.4. Anything that is not well formed is left as it is.
pub(super) fn to_version_4(body: &Body<'_>, frame: &Frame) -> Result<Vec<Splice>, Stop> {
    let is_chapter = match &frame.id {
        b"CHAP" => true,
        b"CTOC" => false,
        _ => return Ok(Vec::new()),
    };
    let window = usize::try_from(frame.len).map_or(HEAD_BYTES_MAX, |len| len.min(HEAD_BYTES_MAX));
    let head = body.get(frame.body, window, 0)?;
    let after_text = |start: usize| {
        let text = head.get(start..)?;
        Some(start + text.iter().position(|&byte| byte == 0)? + 1)
    };
    let frames_at = if is_chapter {
        after_text(0).map(|offset| offset + 16)
    } else {
        after_text(0).and_then(|offset| {
            let entries = *head.get(offset + 1)?;
            (0..entries).try_fold(offset + 2, |offset, _| after_text(offset))
        })
    };
    let mut splices = Vec::new();
    let Some(mut offset) = frames_at.map(|offset| offset as u64) else {
        return Ok(splices);
    };
    for _ in 0..FRAMES_MAX {
        if offset + 10 > frame.len {
            break;
        }
        let header = body.get(frame.body + offset, 10, 0)?;
        let size = big_endian(&header[4..8]);
        if !is_id(&header[..4]) || u64::from(size) > frame.len - offset - 10 || header[9] != 0 {
            break;
        }
        if size > 0x7f || header[8] != 0 {
            let mut inserted = syncsafe_bytes(size).to_vec();
            inserted.extend([header[8] >> 1, 0]);
            splices.push(Splice {
                at: offset + 4,
                removed: 6,
                inserted,
            });
        }
        offset += 10 + u64::from(size);
    }
    Ok(splices)
}
