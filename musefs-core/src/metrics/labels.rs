//! The labels of what serving counts: closed lists, so that a series is an index.

use musefs_telemetry::describe::AttributesDescriptor;
use musefs_telemetry::{AttributeEnum, AttributeSet, Label, SeriesKey, attribute_set};

use crate::formats::Format;

/// Where a served byte came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "source")]
pub enum ByteSource {
    /// Metadata made in memory.
    SynthesizedHeader,
    /// Pictures and binary values in the store.
    Art,
    /// A read-ahead buffer.
    Readahead,
    /// The backing file.
    Backing,
}

impl AttributeEnum for Format {
    const NAME: &'static str = "format";
    const VALUES: &'static [&'static str] = &{
        let mut names = [""; Self::ALL.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = Self::ALL[index].as_str();
            index += 1;
        }
        names
    };

    #[inline]
    fn position(self) -> usize {
        self as usize
    }
}

impl SeriesKey for Format {
    #[inline]
    fn series(self) -> usize {
        self as usize
    }
}

impl AttributeSet for Format {
    const DESCRIPTOR: &'static AttributesDescriptor = &AttributesDescriptor {
        name: "Format",
        labels: &[Label {
            name: Self::NAME,
            values: Self::VALUES,
        }],
    };
}

/// What a served byte is told by.
#[attribute_set]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedBytes {
    /// Where it came from.
    pub source: ByteSource,
    /// What its backing file is.
    pub format: Format,
}

/// How a read goes with the one before it on the same handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "pattern")]
pub enum ReadPattern {
    /// It begins where that one ended.
    Sequential,
    /// It begins in the metadata at the front, or in the first block where there is none.
    Header,
    /// It begins anywhere else.
    Seek,
}

/// Why it had to be found out where the bytes of a served file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "cause")]
pub enum ResolveCause {
    /// Somebody opened it, and it was not in the header cache.
    Open,
    /// Somebody opened an inode that an edit has taken away, or is about to.
    Newer,
    /// A refresh needed its size.
    Refresh,
    /// Somebody opened the files of its directory one after the other, and it was next.
    Ahead,
}

/// Why a backing file could not be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, AttributeEnum)]
#[attribute(name = "reason")]
pub enum BackingFailure {
    /// The file is gone.
    Missing,
    /// Size, modification time or inode are not what the scan saw.
    Changed,
    /// Opening or reading it fails.
    Unreadable,
}

/// Why a track is not served as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, AttributeEnum)]
#[attribute(name = "reason")]
pub enum DarkReason {
    /// Its file is gone.
    Missing,
    /// Its file is not what the scan saw.
    Changed,
    /// Opening or reading its file fails.
    Unreadable,
    /// The scan could not take its file apart: it is served as it is.
    Unparsable,
}

impl From<BackingFailure> for DarkReason {
    fn from(failure: BackingFailure) -> Self {
        match failure {
            BackingFailure::Missing => Self::Missing,
            BackingFailure::Changed => Self::Changed,
            BackingFailure::Unreadable => Self::Unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_at_the_place_of_its_name() {
        for format in Format::ALL {
            assert_eq!(Format::VALUES[format.position()], format.as_str());
        }
        assert_eq!(ServedBytes::DESCRIPTOR.labels[1].values, Format::VALUES);
    }
}
