"""Edits that anybody may make in a store, and what a file's tags are to be after them.

A title is changed, a composer removed, a mood set, a field under a name of its own added, the front cover replaced.
"""

import sqlite3

import items
from reading import shown

TITLE = "Edited – отредактировано"
MOOD = "Edited mood"
CUSTOM_NAME = "custom edited"
CUSTOM = "a value of its own"
NEW_PICTURE = items.png(50, 50, 99)


def make(store_path):
    """Makes the edits in every track, as one transaction."""
    store = sqlite3.connect(store_path, timeout=30)
    with store:
        store.execute("UPDATE tags SET value = ? WHERE key = 'title' AND ordinal = 0", [TITLE])
        store.execute("DELETE FROM tags WHERE key = 'title' AND ordinal > 0")
        store.execute(
            """INSERT INTO tags (track_id, key, value) SELECT id, 'title', ? FROM tracks
               WHERE id NOT IN (SELECT track_id FROM tags WHERE key = 'title')""",
            [TITLE],
        )
        store.execute("DELETE FROM tags WHERE key IN ('composer', 'mood')")
        for key, value in [("mood", MOOD), (CUSTOM_NAME, CUSTOM)]:
            store.execute("INSERT INTO tags (track_id, key, value) SELECT id, ?, ? FROM tracks", [key, value])
        blob = store.execute("INSERT INTO blobs (data) VALUES (?)", [NEW_PICTURE]).lastrowid
        store.execute(
            """UPDATE art SET backing_offset = NULL, backing_len = NULL, blob_id = ? WHERE id IN
               (SELECT min(id) FROM art WHERE picture_type = 3 GROUP BY track_id)""",
            [blob],
        )
    store.close()


# By the first word of a family's names: title, composer, mood, the field of its own.
NAMES = {
    "comment": ("TITLE", "COMPOSER", "MOOD", CUSTOM_NAME.upper()),
    "ID3": ("TIT2", "TCOM", "TMOO", f"TXXX:{CUSTOM_NAME}"),
    "APE": ("Title", "Composer", "Mood", CUSTOM_NAME),
    "MP4": ("©nam", "©wrt", "----:com.apple.iTunes:MOOD", f"----:com.apple.iTunes:{CUSTOM_NAME}"),
}

FAMILIES = {
    "flac": "comment",
    "ogg": "comment",
    "id3": "ID3",
    "id3v23": "ID3",
    "wave": "ID3",
    "rf64": "ID3",
    "aiff": "ID3",
    "ape": "APE",
    "mp4": "MP4",
}


def told(word, name, value):
    """How `reading` tells one value."""
    if word == "APE":
        return ["kind 0", value]
    if name.startswith("----:"):
        return [f"1 0 {shown(value.encode())}"]
    if name.startswith("TXXX:"):
        return [f"desc={name[5:]}", value]
    return [value]


def expected(family, before):
    """What is to be read after the edits, where `before` was read of the file itself."""
    word = FAMILIES[family]
    title, composer, mood, custom = NAMES[word]
    after = {name: list(values) for name, values in before.items()}
    after.pop(f"{word} {composer}", None)
    for name, value in [(title, TITLE), (mood, MOOD), (custom, CUSTOM)]:
        after[f"{word} {name}"] = told(word, name, value)
    if any(name.startswith("INFO ") for name in after):
        # A list of short texts tells a changed title, too, also where it had none.
        after["INFO INAM"] = [TITLE]
    if "chunk NAME" in after:
        after["chunk NAME"] = [shown(TITLE.encode())]
    replace_front_cover(after)
    return after


def replace_front_cover(after):
    data = shown(NEW_PICTURE)
    for name, values in after.items():
        is_front = name in ("pictures", "MP4 covr") or (name.startswith("ID3 APIC") and values[0].startswith("3 "))
        if is_front:
            head = values[0].split(" ")[: -len(data.split(" "))]
            values[0] = " ".join([*head, data])
        elif name == "APE Cover Art (Front)":
            values[-1] = data
