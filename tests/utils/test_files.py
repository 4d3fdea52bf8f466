import hashlib
import os
import stat

import pytest

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import (
    atomic_write,
    content_hash,
    file_hash,
    read_json,
    write_json,
)


def test_a_file_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "new" / "model.weights.h5"
    with atomic_write(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.endswith("model.weights.h5")
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert os.listdir(target.parent) == ["model.weights.h5"]


def test_after_an_error_the_old_file_stands_and_nothing_else(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail():
        with atomic_write(target) as temporary:
            temporary.write_text("ha")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_two_writers_do_not_share_a_temporary_file(tmp_path):
    target = tmp_path / "table.csv"
    with atomic_write(target) as first, atomic_write(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"


def test_files_have_the_permissions_the_user_gives(tmp_path):
    mask = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640


def test_json(tmp_path):
    content = {"name": "x", "sizes": [1, 2.5, None], "nested": {"on": True}}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    (tmp_path / "a.json").write_text('{"name": ')
    with pytest.raises(InputError, match=r"expected a JSON file.*Received: .*a\.json"):
        read_json(tmp_path / "a.json")


def test_hashes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_hash(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    assert content_hash({"a": 1, "b": {"c": 2, "d": 3}}) == content_hash(
        {"b": {"d": 3, "c": 2}, "a": 1}
    )
    different = [{"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": None}, {}, [1], {"a": [1]}]
    assert len({content_hash(each) for each in different}) == len(different)
