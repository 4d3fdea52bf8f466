"""`degu fetch`, with a record of its own."""

import tarfile
from types import SimpleNamespace

import pytest
from command_line import done

from degu_tf.data.zenodo import record as zenodo


@pytest.fixture
def record(monkeypatch, tmp_path):
    """A record of two files; what is asked of it is noted instead of done."""
    asked = SimpleNamespace(calls=[])
    archive = tmp_path / "there" / "data.tar.gz"
    archive.parent.mkdir()
    (tmp_path / "1_DeepSTARR.h5").write_text("weights")
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(tmp_path / "1_DeepSTARR.h5", "weights/1_DeepSTARR.h5")
    files = (
        zenodo.RecordFile("config.yaml", 20, "md5:00", "https://zenodo.org/a"),
        zenodo.RecordFile("data.tar.gz", 2_500_000, "md5:00", "https://zenodo.org/b"),
    )

    def read_record(number):
        asked.number = number
        return zenodo.Record(7, "Models", "", files)

    def fetch(names, match, folder, *, record, progress):
        asked.calls.append((names, match, folder, progress))
        return [archive]

    monkeypatch.setattr(zenodo, "read_record", read_record)
    monkeypatch.setattr(zenodo, "fetch", fetch)
    return asked


def test_fetch_lists_and_fetches(record, tmp_path):
    shown = done("fetch", "--list")
    assert shown.out.splitlines() == [
        "Models (Zenodo record 7)", "    20 B  config.yaml", "  2.5 MB  data.tar.gz",
        "2 files, 2.5 MB",
    ]  # fmt: skip
    assert record.calls == []
    assert record.number == zenodo.DOI
    archive = tmp_path / "there" / "data.tar.gz"
    shown = done("fetch", "data.tar.gz", "--match", "*.yaml", "*.h5", "--record", 12, "--quiet")
    assert shown.out == f"{archive}\n"
    assert record.number == "12"
    shown = done("fetch", "--match", "*", "--out", "here", "--unpack")
    assert shown.out.endswith(f"  1 files unpacked into {archive.parent}\n")
    assert (archive.parent / "weights" / "1_DeepSTARR.h5").read_text() == "weights"
    assert record.calls == [
        (["data.tar.gz"], ["*.yaml", "*.h5"], None, False), ([], ["*"], "here", None)
    ]  # fmt: skip
