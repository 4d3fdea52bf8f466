"""Checksums beside files: whatever changes in either is noticed."""

import json

import pytest

from degu_tf.utils.checksums import checksum_file, read_checksum, write_checksum

NOTES = {"rows": 3, "floored": {"epistemic": 1}}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "part.tsv"
    path.write_bytes(bytes(range(64)))
    write_checksum(path, NOTES)
    return path


def test_an_intact_file_gives_its_notes(path):
    assert read_checksum(path) == NOTES
    write_checksum(path)
    assert read_checksum(path) == {}


def test_any_bit_that_flips_in_a_file_is_noticed(path):
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        assert read_checksum(path) is None, bit
    path.write_bytes(whole)
    assert read_checksum(path) == NOTES


def test_a_changed_checksum_is_never_taken_for_other_notes(path):
    checksum = checksum_file(path)
    whole = checksum.read_bytes()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        checksum.write_bytes(changed)
        assert read_checksum(path) in (None, NOTES), bit
    for content in (b"", whole[: len(whole) // 2], b"[]", b"{}", json.dumps({"notes": 1}).encode()):
        checksum.write_bytes(content)
        assert read_checksum(path) is None
    checksum.unlink()
    assert read_checksum(path) is None


def test_a_missing_or_longer_file_is_noticed(path):
    with open(path, "ab") as file:
        file.write(b"x")
    assert read_checksum(path) is None
    path.unlink()
    assert read_checksum(path) is None
