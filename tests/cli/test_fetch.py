"""`degu fetch`, with a record of its own."""

import tarfile
import time
from types import SimpleNamespace

import pytest
from command_line import degu, done

from degu_tf.data.zenodo import known_files
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

    def read_record(number, **_):
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
        "Models (Zenodo record 7)", "    20 B  config.yaml",
        "  2.5 MB  data.tar.gz  (figures 2 to 6)", "2 files, 2.5 MB",
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


def test_other_records_serve_no_figures(record):
    assert "figures" not in done("fetch", "--list", "--record", 12).out


def test_offline_the_list_is_what_is_known_and_comes_at_once(monkeypatch, tmp_path, closed_port):
    monkeypatch.setenv("DEGU_CACHE", str(tmp_path))
    monkeypatch.setattr(zenodo, "BASE_URL", f"http://127.0.0.1:{closed_port}/api")
    started = time.perf_counter()
    shown = done("fetch", "--list")
    assert time.perf_counter() - started < 1.0
    first, second, header, *lines, last = shown.out.splitlines()
    assert first.startswith(f"Offline: 127.0.0.1:{closed_port} cannot be reached")
    assert zenodo.DOI in second
    assert header.split() == ["size", "file", "holds", "figures"]
    assert lines[0].split(maxsplit=3)[:3] == ["about", "1.8", "GB"]
    assert [line.split()[0] for line in lines] == ["about", *["in"] * 3, *["unknown"] * 13]
    assert len(lines) == len(known_files.KNOWN_FILES)
    assert last.endswith("are unknown; online, the list has all.")
    other = degu("fetch", "--list", "--record", 12)
    assert (other.code, other.out) == (2, "")
    assert "cannot be reached" in other.err


def test_offline_a_file_is_refused_at_once(monkeypatch, tmp_path, closed_port):
    monkeypatch.setenv("DEGU_CACHE", str(tmp_path))
    monkeypatch.setattr(zenodo, "BASE_URL", f"http://127.0.0.1:{closed_port}/api")
    started = time.perf_counter()
    refused = degu("fetch", "1_DeepSTARR.h5", "--out", tmp_path / "released")
    assert time.perf_counter() - started < 1.0
    assert (refused.code, refused.out) == (2, "")
    assert f"127.0.0.1:{closed_port} cannot be reached" in refused.err


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("1_DeepSTARR.h5", "2 to 5, S4, S7, S8, S10"),
        ("models/7_DeepSTARR_evoaug_append_finetune.h5", "3, S6"),
        ("0_DeepSTARR_finetune.h5", "3, S3, S5"),
        ("3_MPRAnn_heteroscedastic.h5", "5, S9, S12, S13"),
        ("lentiMPRA_K562_activity_and_aleatoric_data.h5", "2, 4 to 6, S2, S7, S8, S10 to S16"),
        ("notes.txt", None),
    ],
)
def test_a_files_figures_are_those_of_the_first_pattern_it_fits(name, figures):
    assert known_files.figures_of(name) == figures
