//! The one table of tag keys: the name that musefs gives a field, and the names that each family of tags has for it.
//!
//! The first name of a family is the one that is written; the others are read as the same field where the first one is
//! absent from the file, and else keep their own name. The names follow `MusicBrainz` Picard's mapping of tags, which other
//! taggers share. Whatever is not in the table goes under its native name.

use std::collections::HashMap;

/// A family of tags with its own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Vorbis comments (FLAC, Ogg), names in upper case.
    Vorbis,
    /// `ID3v2.4` frames: a frame id, or `TXXX:` with the description, `TIPL:` with the role; `TRCK/` and `TPOS/` are the
    /// totals in those frames.
    Id3,
    /// `APEv2` items.
    Ape,
    /// Atoms of an MP4 `ilst`; `----:` with a name is a freeform atom of the mean `com.apple.iTunes`; `trkn/` and `disk/`
    /// are the totals in those atoms.
    Mp4,
    /// Chunks of a RIFF `LIST/INFO`; few keys have one.
    RiffInfo,
}

/// One row: key, Vorbis names, `ID3v2` names, `APEv2` names, MP4 names, RIFF names.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

/// The owner of the UFID frame that holds a `MusicBrainz` recording id.
pub(super) const MUSICBRAINZ_OWNER: &str = "http://musicbrainz.org";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("title", &["TITLE"], &["TIT2"], &["Title"], &["©nam"], &["INAM"]),
    ("artist", &["ARTIST"], &["TPE1"], &["Artist"], &["©ART"], &["IART"]),
    ("artists", &["ARTISTS"], &["TXXX:ARTISTS"], &["Artists"], &["----:ARTISTS"], &[]),
    ("album", &["ALBUM"], &["TALB"], &["Album"], &["©alb"], &["IPRD"]),
    ("albumartist", &["ALBUMARTIST", "ALBUM ARTIST", "ALBUM_ARTIST"], &["TPE2", "TXXX:ALBUMARTIST", "TXXX:ALBUM ARTIST"], &["Album Artist", "AlbumArtist", "ALBUM_ARTIST"], &["aART"], &[]),
    ("composer", &["COMPOSER"], &["TCOM"], &["Composer"], &["©wrt"], &["IMUS"]),
    ("conductor", &["CONDUCTOR"], &["TPE3"], &["Conductor"], &["----:CONDUCTOR"], &[]),
    ("lyricist", &["LYRICIST"], &["TEXT"], &["Lyricist"], &["----:LYRICIST"], &[]),
    ("writer", &["WRITER"], &["TXXX:Writer"], &["Writer"], &["----:WRITER"], &["IWRI"]),
    ("genre", &["GENRE"], &["TCON"], &["Genre"], &["©gen", "gnre"], &["IGNR"]),
    ("date", &["DATE", "YEAR"], &["TDRC", "TXXX:DATE", "TXXX:YEAR"], &["Year", "Date"], &["©day"], &["ICRD"]),
    ("originaldate", &["ORIGINALDATE"], &["TDOR"], &["OriginalDate"], &["----:ORIGINALDATE"], &[]),
    ("originalyear", &["ORIGINALYEAR"], &["TXXX:originalyear"], &["ORIGINALYEAR"], &["----:ORIGINALYEAR"], &[]),
    ("releasedate", &["RELEASEDATE"], &["TDRL"], &["RELEASEDATE"], &["----:RELEASEDATE"], &[]),
    ("track", &["TRACKNUMBER", "TRACK"], &["TRCK"], &["Track"], &["trkn", "----:TRACKNUMBER"], &["ITRK", "IPRT", "TRCK"]),
    ("tracktotal", &["TRACKTOTAL", "TOTALTRACKS"], &["TRCK/", "TXXX:TRACKTOTAL", "TXXX:TOTALTRACKS"], &["TRACKTOTAL", "TOTALTRACKS"], &["trkn/", "----:TRACKTOTAL", "----:TOTALTRACKS"], &[]),
    ("disc", &["DISCNUMBER", "DISC"], &["TPOS"], &["Disc"], &["disk", "----:DISCNUMBER"], &[]),
    ("disctotal", &["DISCTOTAL", "TOTALDISCS"], &["TPOS/", "TXXX:DISCTOTAL", "TXXX:TOTALDISCS"], &["DISCTOTAL", "TOTALDISCS"], &["disk/", "----:DISCTOTAL", "----:TOTALDISCS"], &[]),
    ("discsubtitle", &["DISCSUBTITLE"], &["TSST"], &["DiscSubtitle"], &["----:DISCSUBTITLE"], &[]),
    ("comment", &["COMMENT", "DESCRIPTION"], &["COMM"], &["Comment"], &["©cmt"], &["ICMT"]),
    ("grouping", &["GROUPING"], &["TIT1", "GRP1"], &["Grouping"], &["©grp"], &[]),
    ("subtitle", &["SUBTITLE"], &["TIT3"], &["Subtitle"], &["----:SUBTITLE"], &["ISBJ"]),
    ("label", &["LABEL", "ORGANIZATION", "PUBLISHER"], &["TPUB"], &["Label", "Publisher"], &["----:LABEL", "----:PUBLISHER"], &[]),
    ("catalognumber", &["CATALOGNUMBER"], &["TXXX:CATALOGNUMBER"], &["CatalogNumber", "Catalog"], &["----:CATALOGNUMBER"], &[]),
    ("barcode", &["BARCODE", "UPC"], &["TXXX:BARCODE"], &["Barcode", "EAN/UPC"], &["----:BARCODE", "----:UPC"], &[]),
    ("isrc", &["ISRC"], &["TSRC"], &["ISRC"], &["----:ISRC"], &[]),
    ("media", &["MEDIA"], &["TMED"], &["Media"], &["----:MEDIA"], &["IMED"]),
    ("language", &["LANGUAGE"], &["TLAN"], &["Language"], &["----:LANGUAGE"], &["ILNG"]),
    ("copyright", &["COPYRIGHT"], &["TCOP"], &["Copyright"], &["cprt"], &["ICOP"]),
    ("license", &["LICENSE"], &["TXXX:LICENSE"], &["LICENSE"], &["----:LICENSE"], &[]),
    ("encodedby", &["ENCODEDBY", "ENCODED-BY", "ENCODED_BY"], &["TENC"], &["EncodedBy"], &["©enc"], &["ITCH"]),
    ("encoder", &["ENCODER"], &["TSSE"], &["Encoder"], &["©too"], &["ISFT"]),
    ("encodersettings", &["ENCODERSETTINGS"], &["TXXX:ENCODERSETTINGS"], &["EncoderSettings"], &["----:ENCODERSETTINGS"], &[]),
    ("bpm", &["BPM", "TEMPO"], &["TBPM"], &["BPM"], &["tmpo", "----:BPM"], &[]),
    ("key", &["KEY", "INITIALKEY"], &["TKEY"], &["KEY"], &["----:initialkey", "----:KEY"], &[]),
    ("mood", &["MOOD"], &["TMOO"], &["Mood"], &["----:MOOD"], &[]),
    ("lyrics", &["LYRICS", "UNSYNCEDLYRICS", "UNSYNCED LYRICS"], &["USLT"], &["Lyrics"], &["©lyr"], &[]),
    ("compilation", &["COMPILATION"], &["TCMP"], &["Compilation"], &["cpil", "----:COMPILATION"], &[]),
    ("rating", &["RATING"], &["TXXX:RATING"], &["Rating"], &["rate", "----:RATING"], &["IRTD"]),
    ("titlesort", &["TITLESORT"], &["TSOT", "XSOT"], &["TITLESORT"], &["sonm"], &[]),
    ("artistsort", &["ARTISTSORT"], &["TSOP", "XSOP"], &["ARTISTSORT"], &["soar"], &[]),
    ("albumsort", &["ALBUMSORT"], &["TSOA", "XSOA"], &["ALBUMSORT"], &["soal"], &[]),
    ("albumartistsort", &["ALBUMARTISTSORT"], &["TSO2", "TXXX:ALBUMARTISTSORT"], &["ALBUMARTISTSORT"], &["soaa"], &[]),
    ("composersort", &["COMPOSERSORT"], &["TSOC", "TXXX:COMPOSERSORT"], &["COMPOSERSORT"], &["soco"], &[]),
    ("releasetype", &["RELEASETYPE"], &["TXXX:MusicBrainz Album Type", "TXXX:RELEASETYPE"], &["MUSICBRAINZ_ALBUMTYPE"], &["----:MusicBrainz Album Type", "----:RELEASETYPE"], &[]),
    ("releasestatus", &["RELEASESTATUS"], &["TXXX:MusicBrainz Album Status", "TXXX:RELEASESTATUS"], &["MUSICBRAINZ_ALBUMSTATUS"], &["----:MusicBrainz Album Status", "----:RELEASESTATUS"], &[]),
    ("releasecountry", &["RELEASECOUNTRY"], &["TXXX:MusicBrainz Album Release Country", "TXXX:RELEASECOUNTRY"], &["RELEASECOUNTRY"], &["----:MusicBrainz Album Release Country", "----:RELEASECOUNTRY"], &[]),
    ("script", &["SCRIPT"], &["TXXX:SCRIPT"], &["Script"], &["----:SCRIPT"], &[]),
    ("asin", &["ASIN"], &["TXXX:ASIN"], &["ASIN"], &["----:ASIN"], &[]),
    ("musicbrainz_trackid", &["MUSICBRAINZ_TRACKID"], &["UFID:http://musicbrainz.org", "TXXX:MUSICBRAINZ_TRACKID"], &["MUSICBRAINZ_TRACKID"], &["----:MusicBrainz Track Id"], &[]),
    ("musicbrainz_releasetrackid", &["MUSICBRAINZ_RELEASETRACKID"], &["TXXX:MusicBrainz Release Track Id", "TXXX:MUSICBRAINZ_RELEASETRACKID"], &["MUSICBRAINZ_RELEASETRACKID"], &["----:MusicBrainz Release Track Id"], &[]),
    ("musicbrainz_albumid", &["MUSICBRAINZ_ALBUMID"], &["TXXX:MusicBrainz Album Id", "TXXX:MUSICBRAINZ_ALBUMID"], &["MUSICBRAINZ_ALBUMID"], &["----:MusicBrainz Album Id"], &[]),
    ("musicbrainz_artistid", &["MUSICBRAINZ_ARTISTID"], &["TXXX:MusicBrainz Artist Id", "TXXX:MUSICBRAINZ_ARTISTID"], &["MUSICBRAINZ_ARTISTID"], &["----:MusicBrainz Artist Id"], &[]),
    ("musicbrainz_albumartistid", &["MUSICBRAINZ_ALBUMARTISTID"], &["TXXX:MusicBrainz Album Artist Id", "TXXX:MUSICBRAINZ_ALBUMARTISTID"], &["MUSICBRAINZ_ALBUMARTISTID"], &["----:MusicBrainz Album Artist Id"], &[]),
    ("musicbrainz_releasegroupid", &["MUSICBRAINZ_RELEASEGROUPID"], &["TXXX:MusicBrainz Release Group Id", "TXXX:MUSICBRAINZ_RELEASEGROUPID"], &["MUSICBRAINZ_RELEASEGROUPID"], &["----:MusicBrainz Release Group Id"], &[]),
    ("musicbrainz_workid", &["MUSICBRAINZ_WORKID"], &["TXXX:MusicBrainz Work Id", "TXXX:MUSICBRAINZ_WORKID"], &["MUSICBRAINZ_WORKID"], &["----:MusicBrainz Work Id"], &[]),
    ("musicbrainz_discid", &["MUSICBRAINZ_DISCID"], &["TXXX:MusicBrainz Disc Id", "TXXX:MUSICBRAINZ_DISCID"], &["MUSICBRAINZ_DISCID"], &["----:MusicBrainz Disc Id"], &[]),
    ("acoustid_id", &["ACOUSTID_ID"], &["TXXX:Acoustid Id", "TXXX:ACOUSTID_ID"], &["ACOUSTID_ID"], &["----:Acoustid Id"], &[]),
    ("acoustid_fingerprint", &["ACOUSTID_FINGERPRINT"], &["TXXX:Acoustid Fingerprint", "TXXX:ACOUSTID_FINGERPRINT"], &["ACOUSTID_FINGERPRINT"], &["----:Acoustid Fingerprint"], &[]),
    ("replaygain_track_gain", &["REPLAYGAIN_TRACK_GAIN"], &["TXXX:REPLAYGAIN_TRACK_GAIN"], &["REPLAYGAIN_TRACK_GAIN"], &["----:replaygain_track_gain"], &[]),
    ("replaygain_track_peak", &["REPLAYGAIN_TRACK_PEAK"], &["TXXX:REPLAYGAIN_TRACK_PEAK"], &["REPLAYGAIN_TRACK_PEAK"], &["----:replaygain_track_peak"], &[]),
    ("replaygain_album_gain", &["REPLAYGAIN_ALBUM_GAIN"], &["TXXX:REPLAYGAIN_ALBUM_GAIN"], &["REPLAYGAIN_ALBUM_GAIN"], &["----:replaygain_album_gain"], &[]),
    ("replaygain_album_peak", &["REPLAYGAIN_ALBUM_PEAK"], &["TXXX:REPLAYGAIN_ALBUM_PEAK"], &["REPLAYGAIN_ALBUM_PEAK"], &["----:replaygain_album_peak"], &[]),
    ("website", &["WEBSITE"], &["WOAR"], &["Weblink"], &["----:WEBSITE"], &[]),
    ("remixer", &["REMIXER"], &["TPE4"], &["MixArtist"], &["----:REMIXER"], &[]),
    ("producer", &["PRODUCER"], &["TIPL:producer"], &["Producer"], &["----:PRODUCER"], &["IPRO"]),
    ("engineer", &["ENGINEER"], &["TIPL:engineer"], &["Engineer"], &["----:ENGINEER"], &["IENG"]),
    ("arranger", &["ARRANGER"], &["TIPL:arranger"], &["Arranger"], &["----:ARRANGER"], &[]),
    ("mixer", &["MIXER"], &["TIPL:mix"], &["Mixer"], &["----:MIXER"], &[]),
    ("djmixer", &["DJMIXER"], &["TIPL:DJ-mix"], &["DJMixer"], &["----:DJMIXER"], &[]),
    ("performer", &["PERFORMER"], &["TMCL"], &["Performer"], &["----:PERFORMER"], &[]),
    ("work", &["WORK"], &["TXXX:WORK"], &["WORK"], &["©wrk"], &[]),
    ("movement", &["MOVEMENTNAME", "MOVEMENT"], &["MVNM"], &["MOVEMENTNAME"], &["©mvn"], &[]),
    ("movementnumber", &["MOVEMENTNUMBER"], &["MVIN"], &["MOVEMENTNUMBER"], &["©mvi", "----:MOVEMENTNUMBER"], &[]),
    ("originalalbum", &["ORIGINALALBUM"], &["TOAL"], &["ORIGINALALBUM"], &["----:ORIGINALALBUM"], &[]),
    ("originalartist", &["ORIGINALARTIST"], &["TOPE"], &["Original Artist"], &["----:ORIGINALARTIST"], &[]),
    ("originalfilename", &["ORIGINALFILENAME"], &["TOFN"], &["ORIGINALFILENAME"], &["----:ORIGINALFILENAME"], &[]),
];

/// The keys, in the order of the table.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(key, ..)| *key)
}

fn names(row: &Row, family: Family) -> &'static [&'static str] {
    match family {
        Family::Vorbis => row.1,
        Family::Id3 => row.2,
        Family::Ape => row.3,
        Family::Mp4 => row.4,
        Family::RiffInfo => row.5,
    }
}

/// The names that `family` has for a vocabulary key, the one that it writes first.
pub(super) fn native_names(key: &str, family: Family) -> &'static [&'static str] {
    TABLE
        .iter()
        .find(|row| row.0 == key)
        .map_or(&[], |row| names(row, family))
}

/// The name that `family` writes for a vocabulary key.
pub(super) fn native_name(key: &str, family: Family) -> Option<&'static str> {
    native_names(key, family).first().copied()
}

/// The key of a native name (compared without case), and how far down the row's names it stands.
fn find(native: &str, family: Family) -> Option<(&'static str, usize)> {
    TABLE.iter().find_map(|row| {
        names(row, family)
            .iter()
            .position(|name| name.eq_ignore_ascii_case(native))
            .map(|rank| (row.0, rank))
    })
}

/// Which of a file's native names stand for which key: of several names for one key, only the best does.
#[derive(Debug)]
pub(super) struct Claims {
    family: Family,
    ranks: HashMap<&'static str, usize>,
}

impl Claims {
    /// Looks over all the native names of one tag.
    pub(super) fn new<'a>(family: Family, natives: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ranks = HashMap::new();
        for (key, rank) in natives
            .into_iter()
            .filter_map(|native| find(native, family))
        {
            ranks
                .entry(key)
                .and_modify(|best: &mut usize| *best = rank.min(*best))
                .or_insert(rank);
        }
        Self { family, ranks }
    }

    /// The vocabulary key that a native name stands for in this tag.
    pub(super) fn key(&self, native: &str) -> Option<&'static str> {
        find(native, self.family)
            .filter(|(key, rank)| self.ranks.get(key) == Some(rank))
            .map(|(key, _)| key)
    }

    /// Whether some name of the tag stands for the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.ranks.contains_key(key)
    }
}

/// The keys that have totals.
pub(super) const BASES_OF_TOTALS: [&str; 2] = ["track", "disc"];

/// The keys whose first value may carry a total (`1/12`), with the key of that total.
pub(super) fn total_of(key: &str) -> Option<&'static str> {
    match key {
        "track" => Some("tracktotal"),
        "disc" => Some("disctotal"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_key_and_no_native_name_stands_twice() {
        let keys: HashSet<_> = TABLE.iter().map(|row| row.0).collect();
        assert_eq!(keys.len(), TABLE.len());
        for family in [
            Family::Vorbis,
            Family::Id3,
            Family::Ape,
            Family::Mp4,
            Family::RiffInfo,
        ] {
            let mut seen = HashSet::new();
            for name in TABLE.iter().flat_map(|row| names(row, family)) {
                assert!(seen.insert(name.to_ascii_uppercase()), "{name}");
            }
        }
    }

    #[test]
    fn an_alias_stands_for_its_key_only_without_the_first_name() {
        let alone = Claims::new(Family::Vorbis, ["ALBUM ARTIST"]);
        assert_eq!(alone.key("album artist"), Some("albumartist"));
        let both = Claims::new(Family::Vorbis, ["ALBUM ARTIST", "ALBUMARTIST"]);
        assert_eq!(both.key("ALBUM ARTIST"), None);
        assert_eq!(both.key("ALBUMARTIST"), Some("albumartist"));
    }
}
