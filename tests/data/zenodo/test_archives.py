import io
import tarfile
import zipfile
from collections import namedtuple

import pytest

from degu_tf.data.zenodo import archives
from degu_tf.data.zenodo.archives import unpack
from degu_tf.utils.errors import InputError

CONTENT = bytes(range(256)) * 40


def tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


MEMBERS = {
    "./data/a.h5": CONTENT,
    "data/._a.h5": b"resource fork",
    "data/weights/1_DeepSTARR.h5": b"weights",
    "data/.DS_Store": b"",
}


@pytest.mark.parametrize("kind", ["w:gz", "w", "w:xz", "zip"])
def test_an_archive_is_unpacked(tmp_path, kind):
    path = tmp_path / "data"
    zipped(path, MEMBERS) if kind == "zip" else tar(path, MEMBERS, kind)
    paths = unpack(path, tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in paths] == [
        "data/a.h5",
        "data/weights/1_DeepSTARR.h5",
    ]
    assert [path.read_bytes() for path in paths] == [CONTENT, b"weights"]
    assert sorted(path.name for path in (tmp_path / "out" / "data").iterdir()) == [
        "a.h5",
        "weights",
    ]


def test_some_files_of_an_archive(tmp_path):
    path = tar(tmp_path / "data.tar.gz", MEMBERS)
    assert [each.name for each in unpack(path, tmp_path, ["*deepstarr*"])] == ["1_DeepSTARR.h5"]
    assert [each.name for each in unpack(path, tmp_path, ["1_*"])] == ["1_DeepSTARR.h5"]
    assert [each.name for each in unpack(path, tmp_path, ["data/*.h5"])] == [
        "a.h5",
        "1_DeepSTARR.h5",
    ]
    with pytest.raises(InputError, match=r"that fits a file. Received: '\*\.npz', in .*tar\.gz"):
        unpack(path, tmp_path, ["*.h5", "*.npz"])


def link(kind, name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"good": b"1", "../evil": b"2"}, r"stay in .*Received: '\.\./evil' .*outside.*, in"),
        ({"good": b"1", "a/../../evil": b"2"}, r"stay in .*Received: 'a/\.\./\.\./evil'"),
        ({"good": b"1", link(tarfile.SYMTYPE, "evil", "/etc"): b""}, "Received: 'evil' is a link"),
        ({"good": b"1", link(tarfile.SYMTYPE, "evil", ".."): b""}, "Received: 'evil' .*outside"),
        ({"good": b"1", link(tarfile.SYMTYPE, "evil", "good"): b""}, "links are not followed"),
        ({"good": b"1", link(tarfile.LNKTYPE, "evil", "good"): b""}, "links are not followed"),
        ({"good": b"1", link(tarfile.FIFOTYPE, "evil", ""): b""}, "Received: 'evil' is a special"),
        ({}, "expected an archive of files"),
    ],
)
def test_hostile_archives_write_nothing(tmp_path, members, message):
    path = tar(tmp_path / "data.tar.gz", members)
    with pytest.raises(InputError, match=message):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_hostile_zip(tmp_path):
    path = zipped(tmp_path / "data.zip", {"good": b"1", "a/../../evil": b"2"})
    with pytest.raises(InputError, match="lead elsewhere"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zip_that_holds_less_than_it_says(tmp_path):
    path = zipped(tmp_path / "data.zip", {"a": b"content"})
    content = bytearray(path.read_bytes())
    size = content.index(b"PK\x01\x02") + 24
    content[size : size + 4] = (99).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"expected 99 bytes of a, .*Received: fewer"):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_damaged_archives(tmp_path):
    whole = tar(tmp_path / "whole", {"a": bytes(10), "b": CONTENT * 9}).read_bytes()
    path = tmp_path / "data.tar.gz"
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a whole tar or zip archive .*Received: .*data"):
            unpack(path, tmp_path / "out")
    with pytest.raises(InputError, match=r"expected a file. Received: "):
        unpack(tmp_path / "none", tmp_path)


def test_an_archive_larger_than_the_disk(tmp_path, monkeypatch):
    path = tar(tmp_path / "data.tar.gz", MEMBERS)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage(100))
    with pytest.raises(InputError, match=r"room for 10247 bytes; .*Received: 100 bytes free"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_absolute_name_stays_in_the_folder_as_tar_does(tmp_path):
    path = tar(tmp_path / "data.tar.gz", {f"{tmp_path}/evil": b"content"})
    (unpacked,) = unpack(path, tmp_path / "out")
    assert unpacked.read_bytes() == b"content"
    assert unpacked.is_relative_to(tmp_path / "out")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("target", ["outside", "out/inside", "nowhere", "outside/file"])
@pytest.mark.parametrize("where", ["data", "data/weights", "data/a.h5"])
def test_nothing_is_written_through_a_link_in_the_folder(tmp_path, kind, target, where):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"mine")
    link = tmp_path / "out" / where
    link.parent.mkdir(parents=True)
    (tmp_path / "out" / "inside").mkdir()
    link.symlink_to(tmp_path / target)
    write = {"tar": tar, "zip": zipped}[kind]
    path = write(tmp_path / "archive", {"first": b"1"} | MEMBERS)
    with pytest.raises(InputError, match=r"no symbolic link where|stay in .*outside"):
        unpack(path, tmp_path / "out")
    assert link.is_symlink()
    assert [each.name for each in (tmp_path / "outside").iterdir()] == ["file"]
    assert (tmp_path / "outside" / "file").read_bytes() == b"mine"
    assert list((tmp_path / "out" / "inside").iterdir()) == []
    assert not (tmp_path / "out" / "first").exists()


def test_the_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    unpack(tar(tmp_path / "data.tar.gz", MEMBERS), tmp_path / "out")
    assert (tmp_path / "disk" / "data" / "a.h5").read_bytes() == CONTENT
