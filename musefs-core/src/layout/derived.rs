//! Bytes that are made when they are read, from bytes of the backing file or of the store.
//!
//! What is made is as long as its description says, whatever the bytes it is made from; any part of it is made without the
//! parts before it. Nothing here opens or reads anything itself: an [`Origin`] does, and may refuse to wait.

mod chunk_offsets;

use super::{BlobId, BlobKind};

pub use chunk_offsets::{ChunkOffsets, Move};

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
}

impl Derived {
    /// Length in bytes of what is made.
    pub fn len(&self) -> u64 {
        match self {
            Self::ChunkOffsets(table) => table.len(),
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
        }
    }

    /// Whether what is made is metadata; else it is sound with something around it put right.
    pub fn is_metadata(&self) -> bool {
        match self {
            Self::ChunkOffsets(_) => true,
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
        }
    }
}

#[cfg(test)]
mod tests;
