# Prints what mutagen reads of the ID3v2 or APEv2 tag of a file: one line per frame or item, sorted, binary ones as digests.
import hashlib
import sys

import mutagen
from mutagen.id3 import ID3

path = sys.argv[1]
tags = ID3(path) if path.endswith(".aac") else mutagen.File(path).tags


def digest(value):
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)


lines = []
for key, value in tags.items():
    if isinstance(tags, ID3):
        # How a text is encoded says nothing of what it says.
        fields = {spec.name: getattr(value, spec.name) for spec in value._framespec if spec.name != "encoding"}
        told = {name: digest(field) if isinstance(field, bytes) else str(field) for name, field in fields.items()}
    else:
        told = f"{type(value).__name__} {digest(value.value)}"
    lines.append(f"{key}={told}".replace("\n", " ").replace("\0", "|"))
print("\n".join(sorted(lines)))
