import hashlib
import os
import socket
import stat
import subprocess
import sys

import pytest

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import (
    UNFINISHED,
    atomic_write,
    check_output,
    content_hash,
    file_hash,
    read_json,
    write_json,
)


def _fail_halfway(target):
    with atomic_write(target) as temporary:
        temporary.write_text("ha")
        raise RuntimeError("disk full")


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

    with pytest.raises(RuntimeError, match="disk full"):
        _fail_halfway(target)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_failure_to_write_names_the_output(tmp_path):
    target = tmp_path / "table.csv"
    with pytest.raises(OSError, match="No space left") as caught:
        _fail_with(target, lambda temporary: OSError(28, "No space left", str(temporary)))
    assert caught.value.filename == str(target)
    with pytest.raises(OSError, match="missing") as caught:
        _fail_with(target, lambda _: OSError(2, "missing", "other"))
    assert caught.value.filename == "other"


def _fail_with(target, error):
    with atomic_write(target) as temporary:
        raise error(temporary)


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


@pytest.fixture
def old():
    """Give files the age of an earlier process's."""

    def age(*files):
        for file in files:
            file.write_text("half")
            os.utime(file, (1e9, 1e9))

    return age


def test_leftovers_of_an_earlier_process_go_with_the_next_write_to_their_target(tmp_path, old):
    target = tmp_path / "table.csv"
    mine, others = (
        tmp_path / f"{UNFINISHED}{'0' * 12}-table.csv",
        [
            tmp_path / f"{UNFINISHED}{'0' * 12}-other.csv",
            tmp_path / f"{UNFINISHED}{'0' * 12}-my-table.csv",
            tmp_path / f"{UNFINISHED}table.csv",
            tmp_path / "old-table.csv",
        ],
    )
    old(mine, *others)
    young = tmp_path / f"{UNFINISHED}{'1' * 12}-table.csv"
    young.write_text("being written by another process")
    write_json(target, {})
    assert not mine.exists()
    assert all(file.exists() for file in [*others, young])


def test_content_and_name_are_flushed_to_disk_in_this_order(tmp_path, monkeypatch):
    target, seen = tmp_path / "table.csv", []

    def fsync(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        seen.append((kind, target.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_json(target, {})
    assert seen == [("file", False), ("folder", True)]


def test_a_device_is_written_to_and_stays_a_device(tmp_path):
    device = tmp_path / "device"
    os.symlink("/dev/null", device)
    assert check_output(device) == device
    with atomic_write(device) as temporary:
        assert temporary.parent != tmp_path
        temporary.write_text("gone")
    assert device.is_symlink()
    assert stat.S_ISCHR(os.stat(device).st_mode)
    assert os.listdir(tmp_path) == ["device"]


def test_a_pipe_gets_all_or_nothing(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with atomic_write(check_output(pipe)) as temporary:
            temporary.write_text("whole")
        assert os.read(reader, 100) == b"whole"
        with pytest.raises(RuntimeError, match="disk full"):
            _fail_halfway(pipe)
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)


@pytest.mark.parametrize("redirected", [False, True])
def test_standard_output_takes_a_file_between_printed_lines(tmp_path, redirected):
    code = (
        "from degu_tf.utils.files import atomic_write, check_output\n"
        "print('before', flush=True)\n"
        "with atomic_write(check_output('/dev/stdout')) as temporary:\n"
        "    _ = temporary.write_text('table\\n')\n"
        "print('after')\n"
    )
    with open(tmp_path / "out", "w+b") as file:
        out = file if redirected else subprocess.PIPE
        done = subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
        file.seek(0)
        text = file.read() if redirected else done.stdout
    assert text == b"before\ntable\nafter\n"


def test_an_output_that_exists_needs_overwrite(tmp_path):
    target = tmp_path / "table.csv"
    assert check_output(target) == target
    target.write_text("old")
    with pytest.raises(InputError, match=r"already exists, overwrite it with force=True"):
        check_output(target)
    assert check_output(str(target), overwrite=True) == target
    dangling = tmp_path / "link.csv"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="already exists"):
        check_output(dangling)
    assert target.read_text() == "old"


@pytest.mark.parametrize("overwrite", [False, True])
def test_outputs_that_cannot_be_files(tmp_path, monkeypatch, overwrite):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as place:
        place.bind("socket")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    wrong = {
        tmp_path: "a folder",
        "": "a folder",
        "socket": "no regular file",
        tmp_path / "file" / "table.csv": "is no folder|Not a directory",
        tmp_path / "loop" / "table.csv": "is no folder|symbolic links",
        tmp_path / "new" / ("x" * 300): "255 bytes or fewer",
        tmp_path / ("x" * 300): "255 bytes or fewer|too long",
        tmp_path / ("x" * 300) / "table.csv": "255 bytes or fewer|too long",
        tmp_path / ("ä" * 130): "255 bytes or fewer|too long",
        "a\0b": "null",
        "/proc/new/table.csv": "can be written",
    }
    for path, message in wrong.items():
        with pytest.raises(InputError, match=rf"expected .*({message}).*"):
            check_output(path, overwrite=overwrite)
    assert not (tmp_path / "x").exists()


def test_checking_leaves_nothing_behind(tmp_path):
    check_output(tmp_path / "new" / "deep" / "table.csv")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_the_longest_name_can_be_written(tmp_path, letter):
    name = letter * (250 // len(letter.encode())) + ".json"
    write_json(check_output(tmp_path / name), 1)
    assert read_json(tmp_path / name) == 1
