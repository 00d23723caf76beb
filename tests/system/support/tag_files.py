# Writes tags of every kind that a format knows to a file, with mutagen.
import pathlib
import sys

from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2, APEValue
from mutagen.id3 import APIC, COMM, ID3, PRIV, TALB, TIT2, TPE1, TRCK, TXXX, UFID
from mutagen.wave import WAVE

path = sys.argv[1]
title = "Žluťoučký " + pathlib.Path(path).stem
cover = bytes(range(256)) * 200


def fill(tags):
    tags.add(TIT2(encoding=3, text=[title]))
    tags.add(TPE1(encoding=1, text=["First", "Second"]))
    tags.add(TALB(encoding=0, text=["Album"]))
    tags.add(TRCK(encoding=3, text=["3/9"]))
    tags.add(TXXX(encoding=3, desc="Own", text=["one", "two"]))
    tags.add(COMM(encoding=3, lang="eng", desc="about", text=["said"]))
    tags.add(UFID(owner="http://musicbrainz.org", data=b"some-id"))
    tags.add(PRIV(owner="owner", data=b"\x00\xff\x01"))
    tags.add(APIC(encoding=3, mime="image/jpeg", type=3, desc="front", data=cover))
    return tags


if path.endswith((".wav", ".aiff")):
    file = WAVE(path) if path.endswith(".wav") else AIFF(path)
    if file.tags is None:
        file.add_tags()
    fill(file.tags)
    file.save()
elif path.endswith((".tta", ".aac")):
    fill(ID3()).save(path, v1=0)
else:
    tags = APEv2()
    tags["Title"] = title
    tags["Artist"] = ["First", "Second"]
    tags["Album"] = "Album"
    tags["Track"] = "3/9"
    tags["Own"] = ["one", "two"]
    tags["Link"] = APEValue("http://example.org", 2)
    tags["Blob"] = APEValue(b"\x00\xff\x01", 1)
    tags["Cover Art (Front)"] = APEValue(b"front.jpg\x00" + cover, 1)
    tags.save(path)
