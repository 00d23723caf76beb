"""What files hold beside text: pictures, and items that are kept without being understood."""

import random
import struct
import zlib
from typing import NamedTuple

LARGE_PICTURE_BYTES = 300_000


class Picture(NamedTuple):
    """A picture as ID3v2 and FLAC describe it."""

    kind: int
    mime: str
    description: str
    width: int
    height: int
    data: bytes


def png(width, height, seed):
    """An RGB picture of noise, so that it is as large as its pixels."""
    noise = random.Random(seed)
    rows = b"".join(b"\0" + noise.randbytes(3 * width) for _ in range(height))

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def picture(kind, description, width, height):
    return Picture(kind, "image/png", description, width, height, png(width, height, kind))


def pictures(case):
    """The pictures of a case: none, one of 300 KB or of 5 MB, or three of several types and sizes."""
    if case == "cover":
        return [picture(3, "", 1320, 1320)]
    if case == "picture":
        side = 317
        found = [picture(3, "", side, side)]
        assert len(found[0].data) > LARGE_PICTURE_BYTES
        return found
    if case in ("pictures", "all"):
        return [picture(3, "front", 40, 30), picture(4, "Rückseite – задняя", 17, 23), picture(8, "", 64, 64)]
    return []


def opaque(case):
    return case in ("opaque", "all")


def id3_frames():
    """Frames that ID3v2.3 and 2.4 share and that mean nothing to who serves them."""
    from mutagen import id3

    return [
        id3.PRIV(owner="org.example.private", data=bytes(range(256)) * 3),
        id3.PRIV(owner="org.example.second", data=b"\xff\xe0\0\xff\xff"),
        id3.GEOB(encoding=3, mime="text/plain", filename="näme.txt", desc="an object", data=b"\0\1\2 data"),
        id3.POPM(email="someone@example.org", rating=196, count=12),
        id3.POPM(email="no@count", rating=1),
        id3.UFID(owner="http://www.cddb.com/id3/taginfo1.html", data=b"3CD3N29Q4"),
        id3.PCNT(count=70_000),
        id3.MCDI(data=b"\0\x12\1\2" + bytes(40)),
        id3.SYLT(encoding=3, lang="eng", format=2, type=1, desc="sung", text=[("one", 0), (" zwei", 480), ("три", 960)]),
        id3.ETCO(format=2, events=[(3, 100), (0x15, 5000)]),
        id3.USLT(encoding=3, lang="deu", desc="übersetzt", text="Zeile eins\nZeile zwei"),
        id3.COMM(encoding=3, lang="eng", desc="iTunNORM", text=[" 00000A2B 00000A2B 00003A3B"]),
        id3.WXXX(encoding=3, desc="shop", url="https://example.org/shop"),
        id3.WCOM(url="https://example.org/buy"),
        id3.TXXX(encoding=3, desc="a description of one's own", text=["x", "y"]),
        id3.TXXX(encoding=3, desc="Ключ", text=["значение"]),
        id3.RVA2(desc="track", channel=1, gain=-3.25, peak=0.75),
        id3.CTOC(
            element_id="toc",
            flags=3,
            child_element_ids=["first", "second"],
            sub_frames=[id3.TIT2(encoding=3, text=["Contents"])],
        ),
        id3.CHAP(
            element_id="first",
            start_time=0,
            end_time=400,
            start_offset=0xFFFFFFFF,
            end_offset=0xFFFFFFFF,
            sub_frames=[id3.TIT2(encoding=3, text=["Erstes Kapitel"]), id3.WXXX(encoding=3, desc="c", url="http://e.org")],
        ),
        id3.CHAP(
            element_id="second",
            start_time=400,
            end_time=1000,
            start_offset=0xFFFFFFFF,
            end_offset=0xFFFFFFFF,
            sub_frames=[id3.TIT2(encoding=3, text=["Второе"])],
        ),
    ]


def unknown_id3_frame():
    """A frame with an id that no specification knows, header included: the same bytes in ID3v2.3 and 2.4."""
    body = b"\3nobody knows this"
    return b"XQZ1" + struct.pack(">IH", len(body), 0) + body


def odd_comments():
    """Vorbis comments under names that no vocabulary has."""
    return [
        ("A NAME WITH SPACES", "x"),
        ("lower_case", "one"),
        ("lower_case", "two"),
        ("XML", '<?xml version="1.0"?><a b="c=d"/>'),
        ("PERFORMER[CELLO]", "Jo"),
    ]


def ape_items():
    """Items of other types than text, and under names of their own."""
    from mutagen import apev2

    return {
        "Binary Item": apev2.APEValue(bytes(range(256)), apev2.BINARY),
        "Related": apev2.APEValue("https://example.org/related", apev2.EXTERNAL),
        "Name Of Its Own": apev2.APEValue("x\0y", apev2.TEXT),
    }


def mp4_items():
    """Atoms of integers, of bytes, and of owners of their own."""
    from mutagen import mp4

    binary = mp4.MP4FreeForm(bytes(range(256)), mp4.AtomDataType.IMPLICIT)
    return {
        "pgap": True,
        "hdvd": [2],
        "stik": [1],
        "rtng": [4],
        "plID": [1234567890123],
        "cnID": [987654],
        "desc": ["A description"],
        "keyw": ["a keyword"],
        "catg": ["A category"],
        "tvsh": ["A show"],
        "purl": ["https://example.org/feed"],
        "egid": ["an-episode"],
        "----:com.apple.iTunes:a name": [mp4.MP4FreeForm(b"x"), mp4.MP4FreeForm("ü".encode())],
        "----:com.apple.iTunes:BINARY": [binary],
        "----:org.example:a name": [mp4.MP4FreeForm(b"of another owner")],
    }


def _riff_chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def wave_chunks():
    """Chunks that recorders and samplers write, one of odd length, one that nobody knows."""
    bext = b"A recording".ljust(256, b"\0") + b"A recorder".ljust(32, b"\0") + b"REF".ljust(32, b"\0")
    bext += b"2003-04-0512:00:00" + struct.pack("<QH", 12345, 1) + bytes(64) + bytes(190) + b"A=PCM,F=44100\r\n"
    info = b"INFO" + b"".join(
        _riff_chunk(name, text + b"\0")
        for name, text in [(b"INAM", b"The title"), (b"IART", b"The artist"), (b"ISRC", b"A supplier"), (b"IXYZ", b"odd")]
    )
    cue = struct.pack("<I", 1) + struct.pack("<II4sIII", 1, 100, b"data", 0, 0, 100)
    notes = b"adtl" + _riff_chunk(b"labl", struct.pack("<I", 1) + b"a mark\0")
    smpl = struct.pack("<9I", 0, 0, 22675, 60, 0, 0, 0, 0, 0)
    ixml = b'<?xml version="1.0"?><BWFXML><PROJECT>musefs</PROJECT></BWFXML>'
    return b"".join(
        _riff_chunk(name, body)
        for name, body in [
            (b"bext", bext),
            (b"LIST", info),
            (b"cue ", cue),
            (b"LIST", notes),
            (b"smpl", smpl),
            (b"iXML", ixml),
            (b"zzZz", b"odd"),
        ]
    )


def _iff_chunk(name, body):
    return name + struct.pack(">I", len(body)) + body + b"\0" * (len(body) % 2)


def aiff_chunks():
    """Text chunks, a marker, an application's own, and one that nobody knows."""
    return b"".join(
        _iff_chunk(name, body)
        for name, body in [
            (b"NAME", b"The name"),
            (b"AUTH", b"An author"),
            (b"ANNO", b"odd"),
            (b"MARK", struct.pack(">HHI", 1, 1, 10) + b"\4mark\0"),
            (b"APPL", b"stoc\4name data"),
            (b"zzZz", b"odd"),
        ]
    )
