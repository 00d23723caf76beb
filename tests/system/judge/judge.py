"""Judges served files by what mutagen, ffprobe and ffmpeg make of them. Prints a line for each fault, and then how much was
checked.

    judge.py keys                                    the names of the vocabulary, one per line
    judge.py write FAMILY SAMPLE DIR CASE…           copies of a sample, tagged as the cases say
    judge.py store FAMILY DB CASE…                   whether a scan named all values by the vocabulary
    judge.py compare FAMILY BACKING SERVED           whether all files of two directories hold the same
    judge.py edit DB                                 edits all tracks of a store
    judge.py compare-edited FAMILY BACKING SERVED    whether they differ by just these edits
    judge.py corpus BACKING SERVED                   what served files lack of their originals, whatever these are
"""

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import corpus
import edits
import reading
import tagging
import vocabulary

JOBS = 2


def differences(before, after):
    """Names and both lists of values, for each name whose values differ."""
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"{name}: {before.get(name)} became {after.get(name)}"


def write(family, sample, directory, *cases):
    sample, directory = Path(sample), Path(directory)
    for case in cases:
        path = directory / f"{case}{sample.suffix}"
        shutil.copyfile(sample, path)
        tagging.write(family, path, case)
    return []


def expected_in_store(family, case):
    return tagging.written(family, vocabulary.values("ordinary" if case == "all" else case))


def store(family, path, *cases):
    connection = sqlite3.connect(path)
    checked = 0
    for case in cases:
        rows = connection.execute(
            """SELECT tags.key, tags.value FROM tracks JOIN tags ON tags.track_id = tracks.id
               WHERE CAST(tracks.path AS TEXT) LIKE ? ORDER BY tags.key, tags.ordinal""",
            [f"{case}.%"],
        ).fetchall()
        found = {}
        for key, value in rows:
            found.setdefault(key, []).append(value)
        wanted = expected_in_store(family, case)
        checked += len(wanted)
        for name, values in wanted.items():
            if found.get(name) != values:
                shown = [reading.shown(value) for value in found.get(name, [])]
                yield f"{case}: {name} is {shown} in the store"
    yield f"{checked} checked"


def compare_one(family, backing, served, edited):
    found = []
    before, after = reading.tags(backing), reading.tags(served)
    count = len(before)
    if edited:
        before = edits.expected(family, before)
    found += differences(before, after)
    if not edited:
        before, after = reading.probed(backing), reading.probed(served)
        count += len(before)
        found += differences(before, after)
    before, after = reading.sound(backing), reading.sound(served)
    if not before["decoded"] or not before["packets"]:
        found.append(f"ffmpeg reads no sound of the backing file: {before['complaints']}")
    if family == "ape":
        before["bytes"], after["bytes"] = reading.before_ape_tag(backing), reading.before_ape_tag(served)
        if edited and backing.suffix == ".ape":
            # ffmpeg counts the tag as a part of the last packet.
            del before["packets"], after["packets"]
    found += differences(before, after)
    if family == "flac":
        tested = subprocess.run(["flac", "-t", "-s", str(served)], capture_output=True, timeout=60)
        if tested.returncode:
            found.append(f"flac -t: {tested.stderr.decode()}")
    if family == "ogg":
        found += ogg_faults(served)
    return count, [f"{served.name}: {line}" for line in found]


def compare(family, backing, served, edited=False):
    backing, served = Path(backing), Path(served)
    names = sorted(path.name for path in backing.iterdir())
    listed = sorted(path.name for path in served.iterdir() if not path.name.startswith("."))
    if names != listed:
        yield f"served are {listed}, not {names}"
        return
    values = 0
    with ThreadPoolExecutor(JOBS) as pool:
        tasks = [pool.submit(compare_one, family, backing / name, served / name, edited) for name in names]
        for name, task in zip(names, tasks, strict=True):
            try:
                count, found = task.result()
            except Exception as error:
                yield f"{name}: {type(error).__name__}: {error}"
                continue
            values += count
            yield from found
    yield f"{values} checked"


def compare_edited(family, backing, served):
    return compare(family, backing, served, edited=True)


def compare_corpus(backing, served):
    """Lines of a file's name, the name of what it lost, and what both have, with tabs between."""
    backing, served = Path(backing), Path(served)
    names = sorted(path.name for path in backing.iterdir())
    readable = 0
    with ThreadPoolExecutor(JOBS) as pool:
        tasks = [pool.submit(lambda name: list(corpus.losses(backing / name, served / name)), name) for name in names]
        for name, task in zip(names, tasks, strict=True):
            readable += corpus.read(backing / name) is not None
            for what, before, after in task.result():
                yield f"{name}\t{what}\t{before} became {after}"
    yield f"{readable} checked"


def ogg_faults(path):
    """Pages whose checksum, number or header is not as RFC 3533 has it."""
    data = path.read_bytes()
    offset, next_number = 0, {}
    while offset < len(data):
        if data[offset : offset + 4] != b"OggS":
            return [f"no page at {offset}"]
        segments = data[offset + 26]
        end = offset + 27 + segments + sum(data[offset + 27 : offset + 27 + segments])
        page = bytearray(data[offset:end])
        serial, number = page[14:18].hex(), int.from_bytes(page[18:22], "little")
        checksum = int.from_bytes(page[22:26], "little")
        page[22:26] = bytes(4)
        if ogg_checksum(page) != checksum:
            return [f"the page at {offset} has a wrong checksum"]
        if next_number.setdefault(serial, number) != number:
            return [f"the page at {offset} has number {number}, not {next_number[serial]}"]
        next_number[serial] = number + 1
        offset = end
    return []


def ogg_checksum(page):
    checksum = 0
    for byte in page:
        checksum = (checksum << 8 & 0xFFFFFFFF) ^ OGG_CHECKSUMS[checksum >> 24 ^ byte]
    return checksum


def checksum_of_byte(byte):
    """One byte shifted through the generator polynomial of RFC 3533, section 6."""
    checksum = byte << 24
    for _ in range(8):
        checksum = (checksum << 1 ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
    return checksum


OGG_CHECKSUMS = [checksum_of_byte(byte) for byte in range(256)]


def edit(path):
    edits.make(path)
    return []


def keys():
    return [key.name for key in vocabulary.KEYS]


COMMANDS = {
    "keys": keys,
    "write": write,
    "store": store,
    "compare": compare,
    "edit": edit,
    "compare-edited": compare_edited,
    "corpus": compare_corpus,
}


def main(command, *arguments):
    for line in COMMANDS[command](*arguments):
        print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
