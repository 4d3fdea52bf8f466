import gzip

import numpy as np
import pytest

from degu_tf.sequences.encoding import encode
from degu_tf.sequences.genomes import stream as genome_stream
from degu_tf.sequences.genomes.stream import GenomeStream
from degu_tf.utils.errors import InputError


@pytest.fixture(params=["plain", "gzip"])
def genome(request, tmp_path, monkeypatch):
    monkeypatch.setattr(genome_stream, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    bases = {name: "".join(rng.choice(list("ACGTN"), n)) for name, n in (("a", 40), ("b", 5),
                                                                        ("c", 33))}  # fmt: skip
    text = "".join(f">{name}\n{each}\n" for name, each in bases.items())
    path = tmp_path / "genome.fa"
    path.write_bytes(
        gzip.compress(text.encode(), mtime=0) if request.param == "gzip" else text.encode()
    )
    return GenomeStream(path), bases


def test_any_stretch_in_any_order(genome):
    stream, bases = genome
    assert stream.contigs == {"a": 40, "b": 5, "c": 33}
    rng = np.random.default_rng(1)
    for _ in range(200):
        name = rng.choice(list(bases))
        start, end = sorted(rng.integers(0, len(bases[name]) + 1, 2))
        if start < end:
            expected = encode([bases[name][start:end]])[0]
            assert np.array_equal(stream.fetch(name, int(start), int(end)), expected)


def test_forwards_the_file_is_read_once_and_little_is_held(genome, monkeypatch):
    stream, bases = genome
    begun = []
    monkeypatch.setattr(GenomeStream, "_rewind", lambda self: begun.append(1))
    for name in ("a", "c"):
        for start in range(0, len(bases[name]) - 10, 3):
            stream.fetch(name, start, start + 10)
            assert len(stream._held) <= 10 + 2 * 7
    assert not begun


def test_what_is_not_there(genome):
    stream, _ = genome
    for contig, start, end in (("a", 0, 41), ("d", 0, 1), ("b", 3, 2)):
        with pytest.raises(InputError, match=rf"Received: {contig}:{start}-{end}$"):
            stream.fetch(contig, start, end)
    stream.contigs["c"] = 50
    with pytest.raises(InputError, match=r"the file ends before c:20; .*\.fai"):
        stream.fetch("c", 20, 45)
