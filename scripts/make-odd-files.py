#!/usr/bin/env python3
"""Makes tests/data/odd, or the directory given: small files that are broken, lie about themselves, or hold what few files hold.

The files are checked in; running this again makes the same bytes. Nothing in them is music: MPEG frames are of silence,
other sound is a pattern. Names say what is odd. A test scans and mounts all of them.
"""

import pathlib
import struct
import sys
import zlib

ODD = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "odd"
FILES = {}


def odd(name, *parts):
    assert name not in FILES, name
    FILES[name] = b"".join(parts)


def be32(number):
    return struct.pack(">I", number)


def le32(number):
    return struct.pack("<I", number)


def pattern(length):
    return bytes(index * 7 % 241 for index in range(length))


# --- MPEG audio and its tags ---------------------------------------------------------------------------------------------

# MPEG 1 layer III, 32 kbit/s, 44,100 Hz, stereo: 104 bytes a frame, all of it silence.
FRAME = b"\xff\xfb\x10\x64" + bytes(100)
FRAMES = FRAME * 4


def syncsafe(number):
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def frame(major, name, body, flags=0):
    if major == 2:
        return name + be32(len(body))[1:] + body
    size = be32(len(body)) if major == 3 else syncsafe(len(body))
    return name + size + struct.pack(">H", flags) + body


def id3v2(major, body, flags=0, footer=False):
    head = bytes([major, 0, flags | (0x10 if footer else 0)]) + syncsafe(len(body))
    return b"ID3" + head + body + (b"3DI" + head if footer else b"")


def text(major, name, value):
    return frame(major, name, b"\x00" + value)


def unsynchronised(body):
    stuffed = bytearray()
    for index, byte in enumerate(body):
        stuffed.append(byte)
        following = body[index + 1] if index + 1 < len(body) else 0
        if byte == 0xFF and (following == 0 or following >= 0xE0):
            stuffed.append(0)
    return bytes(stuffed)


def id3v1(title):
    return b"TAG" + title.ljust(30, b"\0") + bytes(94) + b"\x11"


def apev2(*items, count=None, flags=0):
    body = b"".join(le32(len(value)) + le32(kind) + key + b"\0" + value for key, value, kind in items)
    numbers = (2000, len(body) + 32, len(items) if count is None else count, flags, 0, 0)
    return body + b"APETAGEX" + struct.pack("<6I", *numbers)


def lyrics3(*fields):
    body = b"LYRICSBEGIN" + b"".join(name + b"%05d" % len(value) + value for name, value in fields)
    return body + b"%06d" % len(body) + b"LYRICS200"


TITLE = text(4, b"TIT2", b"Title")
PICTURE = b"\x00image/jpeg\0\x03cover\0\xff\xd8\xff\xe0" + pattern(60) + b"\xff\xd9"
PRIVATE = frame(4, b"PRIV", b"owner\0\x00\x01\x02\xff\xfe")

odd("empty.mp3")
odd("only_id3v2.mp3", id3v2(4, TITLE))
odd("only_id3v1.mp3", id3v1(b"Only"))
odd("only_apev2.mp3", apev2((b"Title", b"Only", 0)))
odd("id3v1.mp3", FRAMES, id3v1(b"Title"))
odd("apev2.mp3", FRAMES, apev2((b"Title", b"Title", 0), (b"Artist", b"One\0Two", 0)))
odd("apev2_binary.mp3", FRAMES, apev2((b"Title", b"Title", 0), (b"Blob", b"\x00\x01\x02", 2)))
odd("apev2_count_lies.mp3", FRAMES, apev2((b"Title", b"Title", 0), count=60_000))
odd("id3v22.mp3", id3v2(2, frame(2, b"TT2", b"\0Title") + frame(2, b"PIC", b"\0JPG\x03\0" + pattern(40))), FRAMES)
odd("id3v22_unknown_frame.mp3", id3v2(2, frame(2, b"TT2", b"\0Title") + frame(2, b"ZZZ", b"unknown")), FRAMES)
odd(
    "id3v23_unsynchronised_extended.mp3",
    id3v2(
        3,
        unsynchronised(be32(6) + bytes(6) + text(3, b"TIT2", b"Title") + frame(3, b"APIC", PICTURE)),
        flags=0xC0,
    ),
    FRAMES,
)
odd(
    "id3v24_unsynchronised_extended_footer.mp3",
    id3v2(
        4,
        syncsafe(6) + b"\x01\x00" + frame(4, b"TIT2", b"\x01" + unsynchronised(b"\xff\xfeT\0i\0"), flags=0x0002)
        + frame(4, b"APIC", syncsafe(len(PICTURE)) + unsynchronised(PICTURE), flags=0x0003),
        flags=0xC0,
        footer=True,
    ),
    FRAMES,
)
odd("id3v24_appended.mp3", FRAMES, id3v2(4, TITLE + PRIVATE, footer=True))
odd("id3v2_stacked.mp3", id3v2(3, text(3, b"TIT2", b"First")), id3v2(4, text(4, b"TALB", b"Second")), FRAMES)
odd(
    "all_tags.mp3",
    id3v2(4, TITLE),
    FRAMES,
    apev2((b"Title", b"Other", 0), (b"Album", b"Album", 0)),
    lyrics3((b"LYR", b"La la la")),
    id3v1(b"Third"),
)
odd("lyrics3.mp3", FRAMES, lyrics3((b"IND", b"00"), (b"LYR", b"La la la"), (b"CRC", b"0123ABCD")), id3v1(b"Title"))
odd("lyrics3_size_lies.mp3", FRAMES, b"LYRICSBEGIN", b"999999LYRICS200", id3v1(b"Title"))
odd("junk_before_frames.mp3", id3v2(4, TITLE), pattern(3000), FRAMES)
odd("padding_before_frames.mp3", id3v2(4, TITLE), bytes(5000), FRAMES)
odd("positional_frames.mp3", id3v2(4, TITLE + frame(4, b"SEEK", be32(1000)) + frame(4, b"ASPI", bytes(12))), FRAMES)
odd("empty_frame.mp3", id3v2(4, TITLE + frame(4, b"TALB", b"") + frame(4, b"TPE1", b"\x03")), FRAMES)
odd("grouped_text.mp3", id3v2(4, frame(4, b"TIT2", b"\x07\x03Title", flags=0x0040)), FRAMES)
# Stored, so that every version of zlib makes the same bytes.
deflated = zlib.compress(b"\x03Title", 0)
odd(
    "compressed_encrypted.mp3",
    id3v2(
        4,
        frame(4, b"TIT2", syncsafe(6) + deflated, flags=0x0009) + frame(4, b"TALB", b"\x80secret", flags=0x0004),
    ),
    FRAMES,
)
odd("legacy_text.mp3", id3v2(4, frame(4, b"TIT2", b"\x03Caf\xe9") + frame(4, b"TPE1", b"\x01\xff\xfeA\0\x00")), FRAMES)
odd("unknown_encoding.mp3", id3v2(4, frame(4, b"TIT2", b"\x09Title") + TITLE), FRAMES)
odd("tag_size_lies.mp3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", TITLE, FRAMES)
odd("frame_size_lies.mp3", id3v2(4, b"TIT2\x7f\x7f\x7f\x7f\0\0\x03Title"), FRAMES)
odd("frame_sizes_not_syncsafe.mp3", id3v2(4, frame(3, b"TIT2", b"\x00" + b"T" * 199) + text(3, b"TALB", b"Album")), FRAMES)
odd("tag_of_the_future.mp3", id3v2(5, TITLE), FRAMES)
odd("jpeg.mp3", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01", pattern(400), b"\xff\xd9")
odd("one_frame.mp3", FRAME)
odd("cut_in_a_frame.mp3", id3v2(4, TITLE), FRAMES[:-50])
odd("html.mp3", b"<!doctype html><title>404</title>", b"<p>Not found</p>" * 20)
odd("names_with_odd_bytes.mp3", id3v2(4, frame(4, b"TIT2", b"\x03a/b\n\x01.\x7f\xc2\x85") + frame(4, b"TALB", b"\x03..")), FRAMES)

# --- FLAC ----------------------------------------------------------------------------------------------------------------

# 4096 samples a block, 44,100 Hz, two channels of 16 bits, 88,200 samples.
STREAM_INFO = struct.pack(">HH", 4096, 4096) + bytes(6) + struct.pack(">Q", (44_100 << 44) + (1 << 41) + (15 << 36) + 88_200) + bytes(16)
FLAC_FRAMES = b"\xff\xf8\xc9\x18" + pattern(200)


def block(kind, body, last=False, length=None):
    return bytes([kind | (0x80 if last else 0)]) + be32(len(body) if length is None else length)[1:] + body


def comments(*values, vendor=b"vendor", count=None):
    body = le32(len(vendor)) + vendor + le32(len(values) if count is None else count)
    return body + b"".join(le32(len(value)) + value for value in values)


def picture(data, claimed=None):
    body = be32(3) + be32(9) + b"image/png" + be32(0) + bytes(16)
    return body + be32(len(data) if claimed is None else claimed) + data


def flac(*blocks, front=b"", back=b""):
    return front + b"fLaC" + block(0, STREAM_INFO) + b"".join(blocks) + block(1, bytes(16), last=True) + FLAC_FRAMES + back


odd("text.flac", b"This is a text, whatever it is called.\n" * 5)
odd("only_mark.flac", b"fLaC")
odd("id3_around.flac", flac(block(4, comments(b"TITLE=Title")), front=id3v2(4, TITLE), back=id3v1(b"Title")))
odd("id3_alone.flac", flac(front=id3v2(3, text(3, b"TIT2", b"Title"))))
odd("two_comment_blocks.flac", flac(block(4, comments(b"TITLE=Title")), block(4, comments(b"ALBUM=Album", vendor=b"other"))))
odd("no_stream_info.flac", b"fLaC", block(4, comments(b"TITLE=Title"), last=True), FLAC_FRAMES)
odd("two_stream_infos.flac", flac(block(0, STREAM_INFO)))
odd("block_length_beyond_the_end.flac", b"fLaC", block(0, STREAM_INFO), block(1, bytes(16), length=0xFFFFFF), FLAC_FRAMES)
odd("block_length_too_short.flac", flac(block(4, comments(b"TITLE=Title"), length=10)))
odd("comment_count_lies.flac", flac(block(4, comments(b"TITLE=Title", count=0xFFFFFFFF))))
odd("comment_length_lies.flac", flac(block(4, le32(0) + le32(1) + le32(0xFFFFFFF0) + b"TITLE=Title")))
odd("vendor_length_lies.flac", flac(block(4, le32(0xFFFFFFFF) + b"vendor")))
odd("picture_length_lies.flac", flac(block(4, comments(b"TITLE=Title")), block(6, picture(pattern(40), claimed=0xFFFFFFFF))))
odd("comments_of_all_kinds.flac", flac(block(4, comments(b"TITLE=Caf\xe9", b"no equals sign", b"=no name", b"ALBUM=a\0b", b"title=Second", b"\xff=x"))))
odd("unknown_blocks.flac", flac(block(4, comments(b"TITLE=Title")), block(2, b"appl" + pattern(20)), block(100, b"unknown")))
odd("no_frames.flac", b"fLaC", block(0, STREAM_INFO), block(4, comments(b"TITLE=Title"), last=True))
odd("flac_inside.mp3", flac(block(4, comments(b"TITLE=Title"))))

# --- RIFF and AIFF -------------------------------------------------------------------------------------------------------

FORMAT = b"fmt " + le32(16) + struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16)
SOUND = pattern(400)


def chunk(name, body, length=None):
    return name + le32(len(body) if length is None else length) + body + b"\0" * (len(body) % 2)


def riff(*chunks, length=None, mark=b"RIFF"):
    body = b"WAVE" + b"".join(chunks)
    return mark + le32(len(body) if length is None else length) + body


INFO = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"Title\0"))
odd("riff_length_lies.wav", riff(FORMAT, INFO, chunk(b"data", SOUND), length=0xFFFFFFFF))
odd("riff_length_too_short.wav", riff(FORMAT, chunk(b"data", SOUND), INFO, length=4))
odd("data_length_lies.wav", riff(FORMAT, INFO, chunk(b"data", SOUND, length=0xFFFFFFF0)))
odd("data_length_zero.wav", riff(FORMAT, INFO, chunk(b"data", SOUND, length=0)))
odd("info_length_lies.wav", riff(FORMAT, chunk(b"LIST", b"INFO" + chunk(b"INAM", b"Title\0", length=0xFFFFFFFF)), chunk(b"data", SOUND)))
odd("odd_chunk_without_padding.wav", riff(FORMAT, b"junk" + le32(3) + b"abc", INFO, chunk(b"data", SOUND)))
odd("no_data.wav", riff(FORMAT, INFO))
odd("positional_frames.wav", riff(FORMAT, chunk(b"id3 ", id3v2(4, TITLE + frame(4, b"SEEK", be32(1000)))), chunk(b"data", SOUND)))
odd("tags_behind_data.wav", riff(FORMAT, chunk(b"data", SOUND), INFO, chunk(b"id3 ", id3v2(4, TITLE))))
odd("bits_of_nothing.wav", riff(b"fmt " + le32(16) + bytes(16), chunk(b"data", SOUND)))
ds64 = struct.pack("<QQQI", 4 + 36 + 24 + 8 + 400, 400, 200, 0)
odd("rf64.wav", riff(chunk(b"ds64", ds64), FORMAT, b"data" + le32(0xFFFFFFFF) + SOUND, length=0xFFFFFFFF, mark=b"RF64"))


def iff(*chunks, length=None):
    body = b"AIFF" + b"".join(chunks)
    return b"FORM" + be32(len(body) if length is None else length) + body


def iff_chunk(name, body, length=None):
    return name + be32(len(body) if length is None else length) + body + b"\0" * (len(body) % 2)


COMMON = iff_chunk(b"COMM", struct.pack(">HIH", 1, 200, 16) + b"\x40\x0b\xfa\0\0\0\0\0\0\0")
odd("form_length_lies.aiff", iff(COMMON, iff_chunk(b"NAME", b"Title"), iff_chunk(b"SSND", bytes(8) + SOUND), length=0xFFFFFFFF))
odd("chunk_length_lies.aiff", iff(COMMON, iff_chunk(b"ID3 ", id3v2(4, TITLE), length=0x7FFFFFFF), iff_chunk(b"SSND", bytes(8) + SOUND)))
odd("positional_frames.aiff", iff(COMMON, iff_chunk(b"SSND", bytes(8) + SOUND), iff_chunk(b"ID3 ", id3v2(4, TITLE + frame(4, b"SEEK", be32(1000))))))
odd("no_sound.aiff", iff(COMMON))

# --- MP4 -----------------------------------------------------------------------------------------------------------------


def atom(name, *bodies, length=None):
    body = b"".join(bodies)
    return be32(len(body) + 8 if length is None else length) + name + body


TYPE = atom(b"ftyp", b"M4A \0\0\0\0M4A isom")


def nested(depth):
    body = b""
    for _ in range(depth):
        body = atom(b"trak", body)
    return body


def item_list(*items):
    return atom(b"udta", atom(b"meta", bytes(4), atom(b"ilst", *items)))


NAME = atom(b"\xa9nam", atom(b"data", be32(1), be32(0), b"Title"))
MEDIA = atom(b"mdat", SOUND)
odd("no_moov.m4a", TYPE, MEDIA)
odd("zero_length_atoms.m4a", TYPE, atom(b"free", length=0), bytes(64))
odd("tiny_atoms.m4a", TYPE, be32(4) + b"moov", be32(7) + b"moov")
odd("atom_length_lies.m4a", TYPE, atom(b"moov", item_list(NAME), length=0xFFFFFFFF), MEDIA)
odd("long_length_lies.m4a", TYPE, be32(1) + b"moov" + struct.pack(">Q", 1 << 63), MEDIA)
odd("nested_deeply.m4a", TYPE, atom(b"moov", nested(900)), MEDIA)
odd("item_length_lies.m4a", TYPE, atom(b"moov", item_list(atom(b"\xa9nam", atom(b"data", be32(1), be32(0), b"Title", length=0x7FFFFFFF)))), MEDIA)
odd("no_tracks.m4a", TYPE, atom(b"moov", item_list(NAME)), MEDIA)
odd("zeros_end_the_movie.m4a", TYPE, atom(b"moov", atom(b"trak"), bytes(4)), MEDIA)
odd("fragmented.m4a", TYPE, atom(b"moov", atom(b"mvex", atom(b"trex", bytes(24)))), atom(b"moof", atom(b"mfhd", bytes(8))), MEDIA)

# --- Ogg -----------------------------------------------------------------------------------------------------------------


def crc(page):
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def page(sequence, kind, granule, *packets, serial=7, broken=False, lacing=None):
    if lacing is None:
        lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = b"OggS\0" + bytes([kind]) + struct.pack("<qII", granule, serial, sequence)
    tail = bytes([len(lacing)]) + lacing + b"".join(packets)
    checksum = crc(head + bytes(4) + tail) ^ (1 if broken else 0)
    return head + le32(checksum) + tail


OPUS_HEAD = b"OpusHead\x01\x02" + struct.pack("<HIHB", 312, 48_000, 0, 0)
OPUS_TAGS = b"OpusTags" + comments(b"TITLE=Title")
OPUS_LONG = b"OpusTags" + comments(b"TITLE=Title", b"COMMENT=" + b"x" * 300)
OPUS_SOUND = page(2, 4, 48_000, pattern(120))
odd("broken_crc.opus", page(0, 2, 0, OPUS_HEAD), page(1, 0, 0, OPUS_TAGS, broken=True), OPUS_SOUND)
odd(
    "two_pages_of_comments.opus",
    page(0, 2, 0, OPUS_HEAD),
    page(1, 0, -1, OPUS_LONG[:255], lacing=b"\xff"),
    page(2, 1, 0, OPUS_LONG[255:]),
    page(3, 4, 48_000, pattern(120)),
)
odd("no_comments.opus", page(0, 2, 0, OPUS_HEAD))
odd("lacing_lies.opus", page(0, 2, 0, OPUS_HEAD), page(1, 0, 0, OPUS_TAGS, lacing=b"\xff" * 255), OPUS_SOUND)
odd("comment_count_lies.opus", page(0, 2, 0, OPUS_HEAD), page(1, 0, 0, b"OpusTags" + comments(count=0xFFFFFFFF)), OPUS_SOUND)
odd("packet_without_end.opus", page(0, 2, 0, OPUS_HEAD), *(page(1 + number, 1 if number else 0, -1, pattern(255), lacing=b"\xff") for number in range(20)))
odd("chained.opus", (page(0, 2, 0, OPUS_HEAD) + page(1, 0, 0, OPUS_TAGS) + OPUS_SOUND) * 2)
odd("multiplexed.opus", page(0, 2, 0, OPUS_HEAD), page(0, 2, 0, b"\x80theora", serial=8), page(1, 0, 0, OPUS_TAGS), OPUS_SOUND)
odd("unknown_codec.ogg", page(0, 2, 0, b"SomethingElse"), page(1, 4, 0, pattern(50)))
odd("cut_in_a_page.ogg", page(0, 2, 0, OPUS_HEAD), page(1, 0, 0, OPUS_TAGS)[:30])

# --- Tags at the end, ADTS, others ---------------------------------------------------------------------------------------

odd("no_header.ape", b"MAC ", pattern(8), apev2((b"Title", b"Title", 0)))
odd("count_lies.mpc", b"MPCK", pattern(100), apev2((b"Title", b"Title", 0), count=0xFFFFFFFF))
odd("tag_size_lies.wv", b"wvpk", pattern(100), b"APETAGEX", struct.pack("<6I", 2000, 0xFFFFFFFF, 1, 0, 0, 0))
odd("item_size_lies.ape", b"MAC ", pattern(100), le32(0xFFFFFFFF) + le32(0) + b"Title\0x" + b"APETAGEX", struct.pack("<6I", 2000, 47, 1, 0, 0, 0))
odd("tag_size_covers_the_start.ape", b"MAC ", pattern(12), b"APETAGEX", struct.pack("<6I", 2000, 47, 1, 0, 0, 0))
odd("header_flag_lies.mpc", b"MPCK", pattern(100), apev2((b"Title", b"Title", 0), flags=0x80000000))
odd("id3v2_private.mpc", id3v2(4, TITLE + PRIVATE), b"MPCK", pattern(100), apev2((b"Title", b"Other", 0)))
odd("positional_frames.tta", id3v2(4, TITLE + frame(4, b"SEEK", be32(1000))), b"TTA1", struct.pack("<HHHII", 1, 2, 16, 44_100, 44_100), bytes(20))
odd("second_version.tta", b"TTA2", pattern(30), apev2((b"Title", b"Title", 0)))
ADTS_FRAME = b"\xff\xf1\x50\x80" + bytes([(17 >> 3) & 0xFF, (17 & 7) << 5 | 0x1F, 0xFC]) + bytes(10)
odd("cut_in_a_frame.aac", ADTS_FRAME * 3 + ADTS_FRAME[:9])
odd("positional_frames.aac", id3v2(4, TITLE + frame(4, b"SEEK", be32(1000))), ADTS_FRAME * 4)
odd("id3v2.aac", id3v2(4, TITLE), ADTS_FRAME * 4)
odd("unknown.dsf", b"DSD ", pattern(80))
odd("zeros.wma", bytes(300))


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ODD
    out.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (out / name).write_bytes(content)
    total = sum(map(len, FILES.values()))
    print(f"{len(FILES)} files, {total} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
