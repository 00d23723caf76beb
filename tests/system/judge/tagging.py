"""Writes what a case holds into a file, each family of containers in its own way, by mutagen."""

import base64
import struct
from pathlib import Path

import items
import mutagen
import vocabulary
from mutagen import aiff, apev2, flac, id3, mp4, wave

# Frames that ID3v2.3 does not have, or that mutagen does not write there.
NOT_IN_ID3V23 = ("TDRL", "TMOO", "TSST", "TSOT", "TSOA", "TSOP", "TMCL")

APE_PICTURE_NAMES = {3: "Cover Art (Front)", 4: "Cover Art (Back)", 8: "Cover Art (Artist)"}


def write(family, path, case):
    """Writes the case into the file; what it is to be called in the store: names and lists of values."""
    WRITERS[family](path, case, vocabulary.values("ordinary" if case == "all" else case))


def written(family, values):
    """What of these values mutagen writes and reads again."""
    if family in ("flac", "ogg", "ape", "mp4"):
        return values
    # Text without a character is not written, but for lyrics; a tag has one text of lyrics per language.
    values = {name: found for name, found in values.items() if found != [""] or name == "lyrics"}
    if "lyrics" in values:
        values["lyrics"] = values["lyrics"][:1]
    # A genre that is a number is a reference.
    if values.get("genre") == ["0"]:
        values["genre"] = ["Blues"]
    if family == "id3v23":
        values = {name: found for name, found in values.items() if vocabulary.BY_NAME[name].id3 not in NOT_IN_ID3V23}
        if "originaldate" in values:
            values["originaldate"] = [values["originaldate"][0][:4]]
        if "genre" in values:
            # mutagen writes a genre's first line.
            values["genre"] = [genre.split("\n")[0] for genre in values["genre"]]
    return values


def _vorbis_comments(tags, case, values):
    for name, found in values.items():
        tags[vocabulary.BY_NAME[name].vorbis] = found
    if items.opaque(case):
        tags.extend(items.odd_comments())


def _flac_picture(picture):
    block = flac.Picture()
    block.type, block.mime, block.desc = picture.kind, picture.mime, picture.description
    block.width, block.height, block.depth, block.data = picture.width, picture.height, 24, picture.data
    return block


class _RawBlock(flac.MetadataBlock):
    """A block of a type that has no class of its own."""

    def __init__(self, code, data):
        super().__init__(data)
        self.code = code


def write_flac(path, case, values):
    file = flac.FLAC(path)
    file.clear_pictures()
    file.delete()
    file = flac.FLAC(path)
    file.add_tags()
    _vorbis_comments(file.tags, case, values)
    for picture in items.pictures(case):
        file.add_picture(_flac_picture(picture))
    if items.opaque(case):
        file.metadata_blocks.append(_RawBlock(2, b"test" + bytes(range(200))))
        file.metadata_blocks.append(_RawBlock(2, b"test" + b"the same owner again"))
        sheet = flac.CueSheet(None)
        sheet.media_catalog_number = b"1234567890123"
        sheet.lead_in_samples, sheet.compact_disc = 88200, True
        first = flac.CueSheetTrack(1, 0, isrc=b"USABC0312345")
        first.indexes.append(flac.CueSheetTrackIndex(1, 0))
        lead_out = flac.CueSheetTrack(170, 44100)
        sheet.tracks = [first, lead_out]
        file.metadata_blocks.append(_RawBlock(5, sheet.write()))
        file.metadata_blocks.append(_RawBlock(42, b"a type to come"))
    file.save()


def write_ogg(path, case, values):
    file = mutagen.File(path)
    file.delete()
    file = mutagen.File(path)
    _vorbis_comments(file.tags, case, values)
    for picture in items.pictures(case):
        encoded = base64.b64encode(_flac_picture(picture).write()).decode("ascii")
        file.tags.append(("METADATA_BLOCK_PICTURE", encoded))
    file.save()


def _number_of(values, number, total):
    pair = [values.get(number, [""])[0], values.get(total, [""])[0]]
    return "/".join(part for part in pair if part)


def _id3_tag(case, values, version):
    tag = id3.ID3()
    tag.version = (2, version, 0)
    people = []
    for name, found in values.items():
        native = vocabulary.BY_NAME[name].id3
        if version == 3 and native in NOT_IN_ID3V23:
            continue
        if native.startswith("TXXX:"):
            tag.add(id3.TXXX(encoding=3, desc=native[5:], text=found))
        elif native.startswith("TIPL:"):
            people.extend([native[5:], person] for person in found)
        elif native == "TMCL":
            pairs = [value[:-1].rsplit(" (", 1) if value.endswith(")") else [value, ""] for value in found]
            tag.add(id3.TMCL(encoding=3, people=[[instrument, person] for person, instrument in pairs]))
        elif native == "COMM":
            tag.add(id3.COMM(encoding=3, lang="eng", desc="", text=found))
        elif native == "USLT":
            tag.add(id3.USLT(encoding=3, lang="eng", desc="", text=found[0]))
        elif native == "UFID":
            tag.add(id3.UFID(owner="http://musicbrainz.org", data=found[0].encode("ascii")))
        elif native == "WOAR":
            tag.add(id3.WOAR(url=found[0]))
        elif native in ("TRCK", "TPOS"):
            total = "tracktotal" if native == "TRCK" else "disctotal"
            tag.add(id3.Frames[native](encoding=3, text=[_number_of(values, name, total)]))
        elif not native.endswith("/"):
            tag.add(id3.Frames[native](encoding=3, text=found))
    if people:
        tag.add(id3.TIPL(encoding=3, people=people))
    for picture in items.pictures(case):
        tag.add(
            id3.APIC(encoding=3, mime=picture.mime, type=picture.kind, desc=picture.description, data=picture.data)
        )
    if items.opaque(case):
        for frame in items.id3_frames():
            tag.add(frame)
        tag.unknown_frames.append(items.unknown_id3_frame())
        tag._unknown_v2minor = version
    return tag


def write_id3(path, case, values):
    """A tag of ID3v2.4 in front."""
    _id3_tag(case, values, 4).save(path, v1=0)


def write_id3v23(path, case, values):
    """A tag of ID3v2.3 in front, its text in UTF-16, and one of ID3v1 behind."""
    tag = _id3_tag(case, values, 3)
    tag.update_to_v23()
    tag.save(path, v1=2, v2_version=3, v23_sep=None)


def _append_chunks(path, chunks, size_format):
    with open(path, "r+b") as file:
        file.seek(0, 2)
        file.write(chunks)
        end = file.tell()
        file.seek(0)
        if file.read(4) == b"RF64":
            # The true size stands at the start of ds64, the first chunk.
            file.seek(20)
            file.write(struct.pack("<Q", end - 8))
        else:
            file.write(struct.pack(size_format, end - 8))


def write_wave(path, case, values):
    if items.opaque(case):
        _append_chunks(path, items.wave_chunks(), "<I")
    _add_id3_chunk(wave.WAVE(path), _id3_tag(case, values, 4))


def write_rf64(path, case, values):
    """mutagen does not know RF64: the chunk is appended by hand."""
    if items.opaque(case):
        _append_chunks(path, items.wave_chunks(), "<I")
    buffer = Path(f"{path}.id3")
    buffer.write_bytes(b"")
    _id3_tag(case, values, 4).save(buffer, v1=0, padding=lambda info: 0)
    tag = buffer.read_bytes()
    buffer.unlink()
    _append_chunks(path, b"id3 " + struct.pack("<I", len(tag)) + tag + b"\0" * (len(tag) % 2), "<I")


def write_aiff(path, case, values):
    if items.opaque(case):
        _append_chunks(path, items.aiff_chunks(), ">I")
    _add_id3_chunk(aiff.AIFF(path), _id3_tag(case, values, 4))


def _add_id3_chunk(file, tag):
    if file.tags is None:
        file.add_tags()
    for frame in tag.values():
        file.tags.add(frame)
    file.tags.unknown_frames[:] = tag.unknown_frames
    file.tags._unknown_v2minor = 4
    file.save()


def write_ape(path, case, values):
    tag = apev2.APEv2()
    for name, found in values.items():
        native = vocabulary.BY_NAME[name].ape
        if native in ("Track", "Disc"):
            tag[native] = _number_of(values, name, f"{native.lower()}total")
        elif not native.endswith("/"):
            tag[native] = apev2.APEValue("\0".join(found), apev2.TEXT)
    for picture in items.pictures(case):
        data = picture.description.encode() + b".png\0" + picture.data
        tag[APE_PICTURE_NAMES[picture.kind]] = apev2.APEValue(data, apev2.BINARY)
    if items.opaque(case):
        for name, value in items.ape_items().items():
            tag[name] = value
    tag.save(path)


def write_mp4(path, case, values):
    file = mp4.MP4(path)
    if file.tags is None:
        file.add_tags()
    tags = file.tags
    tags.clear()
    for name, found in values.items():
        native = vocabulary.BY_NAME[name].mp4
        if native in ("trkn", "disk"):
            total = "tracktotal" if native == "trkn" else "disctotal"
            tags[native] = [(int(found[0]), int(values.get(total, ["0"])[0]))]
        elif native.startswith("----:"):
            freeform = [mp4.MP4FreeForm(value.encode()) for value in found]
            tags[f"----:com.apple.iTunes:{native[5:]}"] = freeform
        elif native in ("tmpo", "©mvi"):
            tags[native] = [int(value) for value in found]
        elif native == "cpil":
            tags[native] = found[0] == "1"
        elif not native.endswith("/"):
            tags[native] = found
    pictures = items.pictures(case)
    if pictures:
        tags["covr"] = [mp4.MP4Cover(picture.data, mp4.MP4Cover.FORMAT_PNG) for picture in pictures]
    if items.opaque(case):
        for name, value in items.mp4_items().items():
            tags[name] = value
    file.save()


WRITERS = {
    "flac": write_flac,
    "ogg": write_ogg,
    "id3": write_id3,
    "id3v23": write_id3v23,
    "wave": write_wave,
    "rf64": write_rf64,
    "aiff": write_aiff,
    "ape": write_ape,
    "mp4": write_mp4,
}
