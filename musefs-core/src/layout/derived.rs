//! Bytes that are made when they are read, from bytes of the backing file or of the store.
//!
//! What is made is as long as its description says, whatever the bytes it is made from; any part of it is made without the
//! parts before it. Nothing here opens or reads anything itself: an [`Origin`] does, and may refuse to wait.

use std::sync::Arc;

mod base64;
mod chunk_offsets;
mod ogg_checksum;
mod ogg_pages;

use super::{BlobId, BlobKind, Layout, Piece};

pub use base64::{Base64Bytes, Base64Text, base64_decode};
pub use chunk_offsets::{ChunkOffsets, Move};
pub use ogg_checksum::{OggChecksum, ogg_checksum};
pub use ogg_pages::OggPages;

/// Where the bytes come from that others are made of.
pub trait Origin {
    /// Why bytes could not be had.
    type Error;

    /// Fills `into` with bytes of the backing file from `offset`.
    ///
    /// # Errors
    /// When the file does not hold them, or they could not be read.
    fn backing(&mut self, offset: u64, into: &mut [u8]) -> Result<(), Self::Error>;

    /// Fills `into` with bytes of a blob from `offset`.
    ///
    /// # Errors
    /// When the blob does not hold them, or they could not be read.
    fn blob(
        &mut self,
        blob: BlobId,
        kind: BlobKind,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), Self::Error>;
}

/// How to make one run of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Derived {
    /// A table of places in an MP4 file, moved along with what it points at.
    ChunkOffsets(ChunkOffsets),
    /// Text of bytes that are stored as they are.
    Base64Text(Base64Text),
    /// Bytes that are stored as text.
    Base64Bytes(Base64Bytes),
    /// The checksum of one Ogg page.
    OggChecksum(OggChecksum),
    /// Ogg pages with other numbers.
    OggPages(OggPages),
    /// A part of what is made otherwise.
    Part {
        /// Of what.
        of: Arc<Derived>,
        /// Bytes from its start.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
}

impl Derived {
    /// Length in bytes of what is made.
    pub fn len(&self) -> u64 {
        match self {
            Self::ChunkOffsets(table) => table.len(),
            Self::Base64Text(text) => text.len(),
            Self::Base64Bytes(bytes) => bytes.len,
            Self::OggChecksum(_) => OggChecksum::LEN,
            Self::OggPages(pages) => pages.len,
            Self::Part { len, .. } => *len,
        }
    }

    /// Whether nothing is made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The end of the last byte of the backing file that is looked at.
    pub fn backing_end(&self) -> u64 {
        match self {
            Self::ChunkOffsets(table) => table.backing_end(),
            Self::Base64Text(text) => text.of.backing_end(),
            Self::Base64Bytes(bytes) => bytes.of.backing_end(),
            Self::OggChecksum(checksum) => checksum.backing_end(),
            Self::OggPages(pages) => pages.offset.saturating_add(pages.len),
            Self::Part { of, .. } => of.backing_end(),
        }
    }

    /// Whether what is made is metadata; else it is sound with something around it put right.
    pub fn is_metadata(&self) -> bool {
        match self {
            Self::ChunkOffsets(_)
            | Self::Base64Text(_)
            | Self::Base64Bytes(_)
            | Self::OggChecksum(_) => true,
            Self::OggPages(_) => false,
            Self::Part { of, .. } => of.is_metadata(),
        }
    }

    /// Fills `into` with the bytes from `offset`; both must lie within the length.
    ///
    /// # Errors
    /// What the origin says.
    pub fn read<O: Origin>(
        &self,
        offset: u64,
        into: &mut [u8],
        origin: &mut O,
    ) -> Result<(), O::Error> {
        match self {
            Self::ChunkOffsets(table) => table.read(offset, into, origin),
            Self::Base64Text(text) => text.read(offset, into, origin),
            Self::Base64Bytes(bytes) => bytes.read(offset, into, origin),
            Self::OggChecksum(checksum) => checksum.read(offset, into, origin),
            Self::OggPages(pages) => pages.read(offset, into, origin),
            Self::Part {
                of, offset: skip, ..
            } => of.read(skip + offset, into, origin),
        }
    }
}

/// Fills `into` with the bytes of `layout` from `offset`; both must lie within its length.
fn fill<O: Origin>(
    layout: &Layout,
    offset: u64,
    into: &mut [u8],
    origin: &mut O,
) -> Result<(), O::Error> {
    let mut rest = into;
    for piece in layout.pieces(offset..offset + rest.len() as u64) {
        let len = match piece {
            Piece::Inline(bytes) => bytes.len() as u64,
            Piece::Backing { len, .. }
            | Piece::StoreBlob { len, .. }
            | Piece::Derived { len, .. } => len,
        };
        let (part, behind) = rest.split_at_mut(usize::try_from(len).expect("within a slice"));
        match piece {
            Piece::Inline(bytes) => part.copy_from_slice(bytes),
            Piece::Backing { offset, .. } => origin.backing(offset, part)?,
            Piece::StoreBlob {
                blob, kind, offset, ..
            } => origin.blob(blob, kind, offset, part)?,
            Piece::Derived {
                derived, offset, ..
            } => derived.read(offset, part, origin)?,
        }
        rest = behind;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
