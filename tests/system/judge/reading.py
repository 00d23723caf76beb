"""All that can be read of a file by who has nothing to do with musefs, as a dictionary from names to lists of text."""

import base64
import hashlib
import io
import json
import re
import struct
import subprocess

import mutagen
from mutagen import apev2, flac, id3, mp4
from mutagen.aac import AAC
from mutagen.id3 import ID3, ID3NoHeaderError

# A value longer than this is told by its hash.
SHOWN_CHARS_MAX = 120


def shown(value):
    """A value as text that differs where the value does."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes {hashlib.sha256(value).hexdigest()[:16]}"
    text = value if isinstance(value, str) else repr(value)
    if len(text) <= SHOWN_CHARS_MAX:
        return text
    return f"{text[:40]}… {len(text)} characters {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def picture(kind, mime, description, width, height, depth, colors, data):
    return f"{int(kind)} {mime} {description!r} {width}x{height} {depth} {colors} {shown(data)}"


def frame_values(frame):
    """The fields of an ID3v2 frame but for the encoding of its text, which may change."""
    if isinstance(frame, id3.TCON):
        return list(frame.genres)
    if isinstance(frame, id3.APIC):
        return [picture(frame.type, frame.mime, frame.desc, 0, 0, 0, 0, frame.data)]
    if isinstance(frame, (id3.TIPL, id3.TMCL)):
        # In which order roles stand has no meaning; in which order the people of a role stand may have.
        return [shown(pair) for pair in sorted(frame.people, key=lambda pair: pair[0])]
    values = []
    for spec in [*frame._framespec, *frame._optionalspec]:
        value = getattr(frame, spec.name, None)
        if spec.name == "encoding":
            continue
        if spec.name == "sub_frames":
            values += [f"{name}: {part}" for name, sub in sorted(value.items()) for part in frame_values(sub)]
        elif spec.name == "text" and isinstance(value, list):
            values += [shown(str(part) if not isinstance(part, tuple) else part) for part in value]
        else:
            values.append(f"{spec.name}={shown(value)}")
    return values


def id3_tag(tag):
    found = {}
    for frame in tag.values():
        found.setdefault(f"ID3 {frame.HashKey}", []).extend(frame_values(frame))
    for raw in tag.unknown_frames:
        found.setdefault("ID3 unknown", []).append(shown(bytes(raw)))
    return found


def flac_picture(block):
    return picture(
        block.type, block.mime, block.desc, block.width, block.height, block.depth, block.colors, block.data
    )


def vorbis_comments(tags):
    """Values by name in the file's spelling, in the file's order."""
    found = {"vendor": [tags.vendor]}
    for name, value in tags:
        if name.upper() == "METADATA_BLOCK_PICTURE":
            block = flac.Picture(base64.b64decode(value))
            found.setdefault("pictures", []).append(flac_picture(block))
        else:
            found.setdefault(f"comment {name}", []).append(shown(value))
    return found


def flac_blocks(file):
    found = {}
    for block in file.metadata_blocks:
        if block.code in (2, 3, 5) or block.code > 6:
            found.setdefault(f"block {block.code}", []).append(shown(block.write()))
    if file.pictures:
        found["pictures"] = [flac_picture(block) for block in file.pictures]
    return found


def ape_value(name, value):
    if value.kind == apev2.BINARY:
        data = bytes(value.value)
        if name.startswith("Cover Art") and b"\0" in data:
            file_name, data = data.split(b"\0", 1)
            return [file_name.decode("utf-8", "replace"), shown(data)]
        return [shown(data)]
    return [shown(part) for part in (value if value.kind == apev2.TEXT else [str(value)])]


def ape_tag(tag):
    return {f"APE {name}": [f"kind {value.kind}", *ape_value(name, value)] for name, value in tag.items()}


def mp4_value(value):
    if isinstance(value, mp4.MP4FreeForm):
        return f"{int(value.dataformat)} {value.version} {shown(bytes(value))}"
    if isinstance(value, mp4.MP4Cover):
        return f"{int(value.imageformat)} {shown(bytes(value))}"
    return shown(value)


def mp4_tags(file):
    found = {}
    for name, values in (file.tags or {}).items():
        values = values if isinstance(values, list) else [values]
        found[f"MP4 {name}"] = [mp4_value(value) for value in values]
    for name, values in getattr(file.tags, "_failed_atoms", {}).items():
        found[f"MP4 odd {name}"] = [shown(bytes(value)) for value in values]
    if file.chapters:
        found["chapters"] = [f"{chapter.start:.3f} {chapter.title}" for chapter in file.chapters]
    return found


def chunks(path, big_endian):
    """The chunks of an IFF or RIFF file but for tags, in order: name and hash. Those of LIST/INFO one by one."""
    data = path.read_bytes()
    order = ">" if big_endian else "<"
    long_sizes = {}
    found = {}
    offset = 12
    while offset + 8 <= len(data):
        name, size = data[offset : offset + 4], struct.unpack(f"{order}I", data[offset + 4 : offset + 8])[0]
        body_start = offset + 8
        if name == b"ds64":
            long_sizes[b"data"] = struct.unpack("<Q", data[body_start + 8 : body_start + 16])[0]
        elif size == 0xFFFFFFFF:
            size = long_sizes[name]
        body = data[body_start : body_start + size]
        if name == b"LIST" and body[:4] == b"INFO":
            at = 4
            while at + 8 <= len(body):
                part, length = body[at : at + 4], struct.unpack("<I", body[at + 4 : at + 8])[0]
                text = body[at + 8 : at + 8 + length].rstrip(b"\0")
                found.setdefault(f"INFO {part.decode('latin-1')}", []).append(shown(text.decode("utf-8", "replace")))
                at += 8 + length + length % 2
        elif name.lower() not in (b"id3 ", b"ds64", b"junk", b"pad ", b"fllr"):
            found.setdefault(f"chunk {name.decode('latin-1')}", []).append(shown(body))
        offset = body_start + size + size % 2
    return found


def tags(path):
    """What mutagen reads, and the chunks of containers made of them.

    Raises whatever mutagen raises, and ValueError where it does not know the file.
    """
    head = path.open("rb").read(12)
    riff = head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE"
    iff = head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC")
    found = chunks(path, iff) if riff or iff else {}
    if riff and head[:4] != b"RIFF":
        found.update(rf64_tag(path))
        return found
    # Frames of AAC behind an ID3v2 look like MPEG audio to a guess.
    file = AAC(path) if path.suffix == ".aac" else mutagen.File(path)
    if file is None:
        raise ValueError("mutagen does not know it")
    if isinstance(file, mp4.MP4):
        found.update(mp4_tags(file))
    elif isinstance(file, flac.FLAC):
        found.update(vorbis_comments(file.tags) if file.tags is not None else {})
        found.update(flac_blocks(file))
    elif isinstance(file.tags, ID3):
        found.update(id3_tag(file.tags))
    elif isinstance(file.tags, apev2.APEv2):
        pass
    elif hasattr(file.tags, "vendor"):
        found.update(vorbis_comments(file.tags))
    elif file.tags:
        found.update({f"{type(file.tags).__name__} {name}": [shown(str(value))] for name, value in file.tags.items()})
    if not (riff or iff):
        found.update(tags_at_the_ends(path))
    info = file.info
    found["sound"] = [
        f"{name}={getattr(info, name)}" for name in ("sample_rate", "channels", "bits_per_sample") if hasattr(info, name)
    ]
    return found


def rf64_tag(path):
    data = path.read_bytes()
    at = data.rfind(b"id3 ")
    if at < 0:
        return {}
    (size,) = struct.unpack("<I", data[at + 4 : at + 8])
    return id3_tag(ID3(io.BytesIO(data[at + 8 : at + 8 + size])))


def tags_at_the_ends(path):
    """An ID3v2 in front of, and an APEv2 behind, whatever it is."""
    found = {}
    try:
        found.update(id3_tag(ID3(path)))
    except ID3NoHeaderError:
        pass
    try:
        found.update(ape_tag(apev2.APEv2(path)))
    except apev2.APENoHeaderError:
        pass
    return found


def before_ape_tag(path):
    """All bytes in front of an APEv2 tag at the end."""
    with path.open("rb") as file:
        tag = apev2._APEv2Data(file)
        end = tag.start
    return shown(path.read_bytes()[:end])


# What ffprobe tells of the file rather than of what is in it, and what follows from its length.
NOT_CONTENT = {"filename", "size", "bit_rate", "probe_score", "start_pts", "max_bit_rate", "extradata_size"}


def flattened(prefix, value, found):
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in NOT_CONTENT:
                flattened(f"{prefix} {name}", part, found)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            flattened(f"{prefix} {index}", part, found)
    else:
        found[prefix] = [shown(str(value))]


def probed(path):
    """What ffprobe tells: streams, chapters and tags."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_chapters", str(path)]
    said = subprocess.run(command, capture_output=True, timeout=60)
    found = {}
    flattened("ffprobe", json.loads(said.stdout or b"{}"), found)
    # Of a list of people ffprobe tells the first role alone; ID3v2.3 has another name for the original release.
    return {
        name.replace(" TORY", " TDOR"): values for name, values in found.items() if not name.endswith((" TIPL", " TMCL"))
    }


def sound(path):
    """Hashes of the decoded sound, with all its bits, and of the encoded packets of each stream that is no picture."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path)]
    command += ["-map", "0:a", "-c:a", "pcm_f64le", "-f", "md5", "-"]
    command += ["-map", "0", "-map", "-0:v?", "-c", "copy", "-copy_unknown", "-f", "streamhash", "-hash", "md5", "-"]
    said = subprocess.run(command, capture_output=True, timeout=60)
    lines = said.stdout.decode().split("\n")
    decoded = [line for line in lines if line.startswith("MD5=")]
    packets = [re.sub(r"^\d+,", "", line) for line in lines if "," in line]
    complaints = [re.sub(r"@ 0x[0-9a-f]+", "@", line) for line in said.stderr.decode("utf-8", "replace").split("\n")]
    complaints = [line.replace(str(path), "FILE") for line in complaints if line]
    return {"decoded": decoded, "packets": packets, "complaints": complaints}
