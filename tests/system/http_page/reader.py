"""Reads what is in a directory again and again, as a few players do: some files slowly from the start, some in jumps.

    reader.py DIRECTORY
"""

import os
import random
import sys
import threading
import time

BLOCK = 128 * 1024


def files_below(directory):
    for path, _, names in os.walk(directory):
        if ".musefs-metrics" not in path:
            yield from (os.path.join(path, name) for name in names)


def play(files, seed):
    chance = random.Random(seed)
    while True:
        try:
            path = chance.choice(files)
            os.stat(path)
            with open(path, "rb", buffering=0) as file:
                # The kernel forgets it, so that the mount is asked again.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                pause = chance.choice([0.004, 0.02, 0.06])
                for _ in range(chance.randrange(4, 60)):
                    if chance.random() < 0.1:
                        file.seek(chance.randrange(os.fstat(file.fileno()).st_size))
                    if not file.read(BLOCK):
                        break
                    time.sleep(pause)
            time.sleep(chance.random() * 0.4)
        except OSError:
            # The mount ends.
            time.sleep(0.2)


if __name__ == "__main__":
    found = sorted(files_below(sys.argv[1]))
    for seed in range(4):
        threading.Thread(target=play, args=(found, seed), daemon=True).start()
    threading.Event().wait()
