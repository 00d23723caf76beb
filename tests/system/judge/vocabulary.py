"""The tags of music by one name each, and what taggers call them in each family of containers.

Written from the mappings that MusicBrainz Picard and mutagen's own easy interfaces document, and from nothing in musefs: what
musefs calls a field must be what this table says.
"""

from typing import NamedTuple


class Key(NamedTuple):
    """One field. In `id3`, `TXXX:` is followed by a description, `TIPL:` by a role, `/` marks the second half of a pair."""

    name: str
    kind: str
    vorbis: str
    id3: str
    ape: str
    mp4: str


def _key(name, kind, vorbis, id3, ape, mp4):
    """`=` stands for the name in upper case, in MP4 as a freeform atom, in ID3v2 as a user-defined text."""
    upper = name.upper()
    return Key(
        name,
        kind,
        upper if vorbis == "=" else vorbis,
        f"TXXX:{upper}" if id3 == "=" else id3,
        upper if ape == "=" else ape,
        f"----:{upper}" if mp4 == "=" else mp4,
    )


KEYS = [
    _key("title", "text", "=", "TIT2", "Title", "©nam"),
    _key("artist", "text", "=", "TPE1", "Artist", "©ART"),
    _key("artists", "text", "=", "=", "Artists", "="),
    _key("album", "text", "=", "TALB", "Album", "©alb"),
    _key("albumartist", "text", "=", "TPE2", "Album Artist", "aART"),
    _key("composer", "text", "=", "TCOM", "Composer", "©wrt"),
    _key("conductor", "text", "=", "TPE3", "Conductor", "="),
    _key("lyricist", "text", "=", "TEXT", "Lyricist", "="),
    _key("writer", "text", "=", "TXXX:Writer", "Writer", "="),
    _key("genre", "text", "=", "TCON", "Genre", "©gen"),
    _key("date", "date", "=", "TDRC", "Year", "©day"),
    _key("originaldate", "date", "=", "TDOR", "OriginalDate", "="),
    _key("originalyear", "year", "=", "TXXX:originalyear", "=", "="),
    _key("releasedate", "date", "=", "TDRL", "=", "="),
    _key("track", "number", "TRACKNUMBER", "TRCK", "Track", "trkn"),
    _key("tracktotal", "number", "=", "TRCK/", "Track/", "trkn/"),
    _key("disc", "number", "DISCNUMBER", "TPOS", "Disc", "disk"),
    _key("disctotal", "number", "=", "TPOS/", "Disc/", "disk/"),
    _key("discsubtitle", "text", "=", "TSST", "DiscSubtitle", "="),
    _key("comment", "text", "=", "COMM", "Comment", "©cmt"),
    _key("grouping", "text", "=", "TIT1", "Grouping", "©grp"),
    _key("subtitle", "text", "=", "TIT3", "Subtitle", "="),
    _key("label", "text", "=", "TPUB", "Label", "="),
    _key("catalognumber", "text", "=", "=", "CatalogNumber", "="),
    _key("barcode", "text", "=", "=", "Barcode", "="),
    _key("isrc", "text", "=", "TSRC", "=", "="),
    _key("media", "text", "=", "TMED", "Media", "="),
    _key("language", "text", "=", "TLAN", "Language", "="),
    _key("copyright", "text", "=", "TCOP", "Copyright", "cprt"),
    _key("license", "text", "=", "=", "=", "="),
    _key("encodedby", "text", "=", "TENC", "EncodedBy", "©enc"),
    _key("encoder", "text", "=", "TSSE", "Encoder", "©too"),
    _key("encodersettings", "text", "=", "=", "EncoderSettings", "="),
    _key("bpm", "integer", "=", "TBPM", "=", "tmpo"),
    _key("key", "text", "=", "TKEY", "=", "----:initialkey"),
    _key("mood", "text", "=", "TMOO", "Mood", "="),
    _key("lyrics", "text", "=", "USLT", "Lyrics", "©lyr"),
    _key("compilation", "flag", "=", "TCMP", "Compilation", "cpil"),
    _key("rating", "text", "=", "=", "Rating", "----:RATING"),
    _key("titlesort", "text", "=", "TSOT", "=", "sonm"),
    _key("artistsort", "text", "=", "TSOP", "=", "soar"),
    _key("albumsort", "text", "=", "TSOA", "=", "soal"),
    _key("albumartistsort", "text", "=", "TSO2", "=", "soaa"),
    _key("composersort", "text", "=", "TSOC", "=", "soco"),
    _key("releasetype", "text", "=", "TXXX:MusicBrainz Album Type", "MUSICBRAINZ_ALBUMTYPE", "----:MusicBrainz Album Type"),
    _key(
        "releasestatus",
        "text",
        "=",
        "TXXX:MusicBrainz Album Status",
        "MUSICBRAINZ_ALBUMSTATUS",
        "----:MusicBrainz Album Status",
    ),
    _key(
        "releasecountry",
        "text",
        "=",
        "TXXX:MusicBrainz Album Release Country",
        "=",
        "----:MusicBrainz Album Release Country",
    ),
    _key("script", "text", "=", "=", "Script", "="),
    _key("asin", "text", "=", "=", "=", "="),
    _key("musicbrainz_trackid", "uuid", "=", "UFID", "=", "----:MusicBrainz Track Id"),
    _key(
        "musicbrainz_releasetrackid",
        "text",
        "=",
        "TXXX:MusicBrainz Release Track Id",
        "=",
        "----:MusicBrainz Release Track Id",
    ),
    _key("musicbrainz_albumid", "text", "=", "TXXX:MusicBrainz Album Id", "=", "----:MusicBrainz Album Id"),
    _key("musicbrainz_artistid", "text", "=", "TXXX:MusicBrainz Artist Id", "=", "----:MusicBrainz Artist Id"),
    _key(
        "musicbrainz_albumartistid",
        "text",
        "=",
        "TXXX:MusicBrainz Album Artist Id",
        "=",
        "----:MusicBrainz Album Artist Id",
    ),
    _key(
        "musicbrainz_releasegroupid",
        "text",
        "=",
        "TXXX:MusicBrainz Release Group Id",
        "=",
        "----:MusicBrainz Release Group Id",
    ),
    _key("musicbrainz_workid", "text", "=", "TXXX:MusicBrainz Work Id", "=", "----:MusicBrainz Work Id"),
    _key("musicbrainz_discid", "text", "=", "TXXX:MusicBrainz Disc Id", "=", "----:MusicBrainz Disc Id"),
    _key("acoustid_id", "text", "=", "TXXX:Acoustid Id", "=", "----:Acoustid Id"),
    _key("acoustid_fingerprint", "text", "=", "TXXX:Acoustid Fingerprint", "=", "----:Acoustid Fingerprint"),
    _key("replaygain_track_gain", "text", "=", "=", "=", "----:replaygain_track_gain"),
    _key("replaygain_track_peak", "text", "=", "=", "=", "----:replaygain_track_peak"),
    _key("replaygain_album_gain", "text", "=", "=", "=", "----:replaygain_album_gain"),
    _key("replaygain_album_peak", "text", "=", "=", "=", "----:replaygain_album_peak"),
    _key("website", "url", "=", "WOAR", "Weblink", "="),
    _key("remixer", "text", "=", "TPE4", "MixArtist", "="),
    _key("producer", "text", "=", "TIPL:producer", "Producer", "="),
    _key("engineer", "text", "=", "TIPL:engineer", "Engineer", "="),
    _key("arranger", "text", "=", "TIPL:arranger", "Arranger", "="),
    _key("mixer", "text", "=", "TIPL:mix", "Mixer", "="),
    _key("djmixer", "text", "=", "TIPL:DJ-mix", "DJMixer", "="),
    _key("performer", "performer", "=", "TMCL", "Performer", "="),
    _key("work", "text", "=", "=", "=", "©wrk"),
    _key("movement", "text", "MOVEMENTNAME", "MVNM", "MOVEMENTNAME", "©mvn"),
    _key("movementnumber", "integer", "=", "MVIN", "=", "©mvi"),
    _key("originalalbum", "text", "=", "TOAL", "=", "="),
    _key("originalartist", "text", "=", "TOPE", "Original Artist", "="),
    _key("originalfilename", "text", "=", "TOFN", "=", "="),
]

BY_NAME = {key.name: key for key in KEYS}

# What an ordinary file says, by kind.
ORDINARY = {
    "date": "2003-04-05",
    "year": "1971",
    "number": "3",
    "integer": "120",
    "flag": "1",
    "uuid": "b5f2a1f0-95ac-4ed0-ae1f-57a6a9f1c4d2",
    "url": "https://example.org/artist",
    "performer": "Ida Prince (viola)",
}

# Values that some reader somewhere trims, splits, decodes wrongly or takes for nothing, for fields of free text.
ODD = {
    "unicode": ["Ünïcode – ночь 日本語 🎵 e\u0301"],
    "blank": [" "],
    "zero": ["0"],
    "padded": ["  two spaces on both sides  "],
    "lines": ["first line\nsecond = line; with / everything \\ else"],
    "long": ["A long value, ten kilobytes of it. " * 293],
    "empty": [""],
}


def ordinary(key):
    return ORDINARY.get(key.kind, f"The {key.name}")


def several(key):
    """Several values of a key, where containers have a place for several."""
    if key.kind in ("text", "performer"):
        return [ordinary(key), f"Second {key.name}", f"Üçüncü {key.name}"]
    return [ordinary(key)]


def values(case):
    """What a case holds: a dictionary from names to lists of values."""
    if case in ODD:
        return {key.name: list(ODD[case]) if key.kind == "text" else [ordinary(key)] for key in KEYS}
    if case == "several":
        return {key.name: several(key) for key in KEYS}
    if case == "ordinary":
        return {key.name: [ordinary(key)] for key in KEYS}
    return {name: [ordinary(BY_NAME[name])] for name in ("title", "artist", "album", "composer", "track", "date", "genre")}
