"""Whether served files are as rich as their originals, for files of which nobody knows what is in them."""

import reading


def read(path):
    """What mutagen reads; None where it cannot."""
    try:
        return reading.tags(path)
    except Exception:
        return None


def losses(backing, served):
    """The name of everything that the original has and the served file has not, with both."""
    before, after = read(backing), read(served)
    if before is not None:
        after = after or {}
        anywhere = {value for values in after.values() for value in values}
        for name, values in before.items():
            moved = name.startswith("APE ") and anywhere.issuperset(values[1:])
            if name != "vendor" and after.get(name) != values and not moved:
                yield name, values, after.get(name)
    before, after = reading.sound(backing), reading.sound(served)
    for name in ("decoded", "packets"):
        if before[name] and before[name] != after[name]:
            yield name, before[name], after[name]
