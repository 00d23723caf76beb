# Prints what mutagen reads of a FLAC or MP3 file: one line per tag and picture, sorted.
import hashlib
import sys

import mutagen

file = mutagen.File(sys.argv[1])
assert file is not None, "mutagen does not know the format"
lines = []
for key, value in (file.tags or {}).items():
    if key.startswith("APIC"):
        continue
    values = value if isinstance(value, list) else str(value).split("\0")
    lines.append(f"{key}={'|'.join(values)}")
pictures = getattr(file, "pictures", None)
if pictures is None:
    pictures = file.tags.getall("APIC")
for picture in pictures:
    sha = hashlib.sha256(picture.data).hexdigest()
    lines.append(f"picture={int(picture.type)} {picture.mime} {picture.desc} {sha}")
print("\n".join(sorted(lines)))
