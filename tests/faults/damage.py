"""Ways in which a file on a disk goes wrong, and counts of what became of each."""

from collections import Counter

DETECTED, HARMLESS, SILENT = "detected", "harmless", "silent"


def damages(rng, neighbour):
    """Yield a name and a function from whole to damaged content; None stands for no file.

    Parameters
    ----------
    rng
        Where the bits to flip are drawn from.
    neighbour
        Content of another file of the same kind.
    """
    yield "empty", lambda content: b""
    yield "missing", lambda content: None
    yield "half", lambda content: content[: len(content) // 2]
    yield "last byte cut", lambda content: content[:-1]
    yield "last line cut", lambda content: content[: content.rstrip(b"\n").rfind(b"\n") + 1]
    yield "first line cut", lambda content: content[content.find(b"\n") + 1 :]
    yield "zeros", lambda content: bytes(len(content))
    yield "tail of zeros", lambda content: content[:-64] + bytes(min(64, len(content)))
    yield "twice", lambda content: content + content
    yield "exchanged", lambda content: neighbour
    for number in range(4):
        place, bit = rng.random(), 1 << int(rng.integers(8))
        yield f"bit {number}", lambda content, place=place, bit=bit: _flipped(content, place, bit)


def _flipped(content, place, bit):
    at = int(place * len(content))
    return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]


def write(path, content):
    """Write damaged content, or remove the file."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


class Counts:
    """What became of each damage; printed, and checked at the end."""

    def __init__(self):
        self.outcomes = Counter()
        self.silent = []

    def add(self, outcome, what):
        """Count an outcome."""
        self.outcomes[outcome] += 1
        if outcome == SILENT:
            self.silent.append(what)

    def check(self, least):
        """Fail if any damage was silent, or fewer were tried or detected than expected."""
        print({name: self.outcomes[name] for name in (DETECTED, HARMLESS, SILENT)})
        assert self.silent == []
        assert sum(self.outcomes.values()) >= least
        assert self.outcomes[DETECTED] >= 0.8 * least
