import json
import re

import pytest
import urllib3
from zenodo_server import ALL_VERSIONS, CONTENT, FILES, VERSION, md5

from degu_tf.data.zenodo.download import (
    Connection,
    DownloadError,
    ResumingDownloader,
    UnreachableError,
    relative_name,
)
from degu_tf.data.zenodo.record import fetch, listing, read_record
from degu_tf.utils.errors import InputError

ONCE = Connection(attempts=1)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def break_off(server, folder):
    """Begin to fetch the large file, and let the server break off."""
    server.cut = 4000
    with pytest.raises(UnreachableError, match=r"cannot be reached.*4000 bytes read"):
        fetch(["data.tar.gz"], folder=folder, connection=ONCE)
    server.cut = None
    server.requests.clear()


def test_a_record_lists_its_files(server):
    record = read_record()
    assert [file.name for file in record.files] == sorted(FILES)
    assert {file.name: file.size for file in record.files} == {
        name: len(content) for name, content in FILES.items()
    }
    assert record.number == VERSION
    text = listing(record)
    assert "Weights and data (Zenodo record 14145285, version v2)" in text
    assert " 10.2 kB  data.tar.gz" in text
    assert text.endswith("3 files, 10.3 kB")


def test_the_doi_of_all_versions_leads_to_the_newest(server):
    """Zenodo has answered its number both with 404 and with the newest version."""
    assert read_record("10.5281/zenodo.14145284").number == VERSION
    assert [request.path.partition("?")[0] for request in server.requests] == [
        f"/records/{ALL_VERSIONS}",
        "/records",
    ]
    server.knows_all_versions = True
    server.requests.clear()
    assert read_record().number == VERSION
    assert [request.path for request in server.requests] == [f"/records/{ALL_VERSIONS}"]


@pytest.mark.parametrize(
    "record",
    [
        VERSION,
        "14145285",
        "doi:10.5281/zenodo.14145285",
        "https://doi.org/10.5281/zenodo.14145285",
        "https://zenodo.org/records/14145285",
        "https://zenodo.org/record/14145285/",
    ],
)
def test_ways_to_name_a_record(server, record):
    assert read_record(record).number == VERSION


@pytest.mark.parametrize("record", ["", "10.1101/2024.11.13.623485", "14145285x", "-3"])
def test_what_is_no_zenodo_record(record):
    with pytest.raises(InputError, match=r"expected a Zenodo record: a DOI.*Received: "):
        read_record(record)


def test_an_unknown_record(server):
    with pytest.raises(DownloadError, match=r"of a published record. Received: 77, of which"):
        read_record("77")


def test_the_other_form_of_a_description(server):
    """InvenioRDM's own form has the files by name, content apart from description."""
    described = server.described()
    entries = {file["key"]: file for file in described["files"]}
    for file in entries.values():
        file["links"] = {"self": "http://127.0.0.1:9/none", "content": file["links"]["self"]}
    server.record_body = json.dumps(described | {"files": {"entries": entries}}).encode()
    (path,) = fetch(["1_DeepSTARR.h5"])
    assert path.read_bytes() == b"weights"


def test_files_are_fetched_once(server, tmp_path):
    fetched = fetch(["data.tar.gz"], match=["*_deepstarr.h5"])
    assert [path.name for path in fetched] == sorted(FILES)
    assert {path.name: path.read_bytes() for path in fetched} == FILES
    assert fetched[0].parent == tmp_path / "cache" / f"zenodo-{VERSION}"
    assert len(server.downloads()) == 3
    assert fetch(match=["*"]) == fetched
    assert len(server.downloads()) == 3
    assert names_in(fetched[0].parent) == sorted(FILES)


def test_a_file_spoilt_since_is_fetched_anew(server):
    (path,) = fetch(["1_DeepSTARR.h5"])
    path.write_bytes(b"spoilt!")
    fetch(["1_DeepSTARR.h5"])
    assert path.read_bytes() == b"weights"
    assert len(server.downloads()) == 2


def test_files_go_where_they_are_wanted(server, tmp_path):
    server.files = {"DeepSTARR/1.h5": b"weights"}
    server.listed = {
        "DeepSTARR/1.h5": {"links": {"self": f"{server.url}/records/1/files/1.h5/content"}}
    }
    server.files["1.h5"] = b"weights"
    (path,) = fetch(["DeepSTARR/1.h5"], folder=tmp_path / "here")
    assert path == tmp_path / "here" / "DeepSTARR" / "1.h5"
    assert path.read_bytes() == b"weights"


def test_which_files(server):
    record = read_record()
    with pytest.raises(InputError, match=r"Did you mean 1_DeepSTARR\.h5\? Received: '1_DeepSTAR'"):
        record.choose(["1_DeepSTAR"])
    with pytest.raises(InputError, match=r"record holds 1_DeepSTARR\.h5, 2.*Received: '\*\.npz'"):
        record.choose(match=["*", "*.npz"])
    with pytest.raises(InputError, match=r"name the files to fetch.*Received: neither, of 1_"):
        fetch(record=record)
    with pytest.raises(InputError, match=r"a list of names or patterns. Received: 'data.tar.gz'"):
        record.choose("data.tar.gz")


def test_a_broken_download_goes_on_in_the_next_call(server, tmp_path):
    break_off(server, tmp_path)
    assert names_in(tmp_path / "cache") == [f"zenodo-{ALL_VERSIONS}.json"]
    assert [name for name in names_in(tmp_path) if name.startswith("data")] == [
        "data.tar.gz.part",
        "data.tar.gz.part.json",
    ]
    (path,) = fetch(["data.tar.gz"], folder=tmp_path, connection=ONCE)
    assert path.read_bytes() == CONTENT
    (request,) = server.downloads()
    assert request.range == "bytes=4000-"
    assert request.if_range == f'"{md5(CONTENT)}"'
    assert request.sent == len(CONTENT) - 4000
    assert [name for name in names_in(tmp_path) if name.startswith("data")] == ["data.tar.gz"]


@pytest.fixture
def pauses(monkeypatch):
    """Seconds that were waited, in place of waiting."""
    waited = []
    monkeypatch.setattr(urllib3.util.retry.time, "sleep", waited.append)
    return waited


def test_a_broken_download_goes_on_in_the_same_call(server, pauses):
    server.cut = 3000
    (path,) = fetch(["data.tar.gz"])
    assert path.read_bytes() == CONTENT
    assert [request.range for request in server.downloads()] == [
        None,
        "bytes=3000-",
        "bytes=6000-",
        "bytes=9000-",
    ]
    assert sum(request.sent for request in server.downloads()) == len(CONTENT)
    assert pauses == [2.0, 4.0]


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.ranges = False
    break_off(server, tmp_path)
    (path,) = fetch(["data.tar.gz"], folder=tmp_path, connection=ONCE)
    assert path.read_bytes() == CONTENT
    assert [(request.range, request.sent) for request in server.downloads()] == [
        ("bytes=4000-", len(CONTENT))
    ]


@pytest.mark.parametrize("etags", [True, False])
def test_a_file_changed_in_between_is_not_mixed_with_the_old_one(server, tmp_path, etags):
    """The new content is listed, so that the part is known to be of another file."""
    server.etags = etags
    break_off(server, tmp_path)
    server.files["data.tar.gz"] = CONTENT[::-1]
    (path,) = fetch(["data.tar.gz"], folder=tmp_path, connection=ONCE)
    assert path.read_bytes() == CONTENT[::-1]
    assert [request.range for request in server.downloads()] == [None]


@pytest.mark.parametrize("etags", [True, False])
def test_a_part_of_another_file_is_thrown_away(server, tmp_path, etags):
    """The listing never changed, but what arrived first was other content."""
    server.etags = etags
    server.files["data.tar.gz"] = CONTENT[::-1]
    server.listed["data.tar.gz"] = {"checksum": md5(CONTENT)}
    break_off(server, tmp_path)
    server.files["data.tar.gz"] = CONTENT
    (path,) = fetch(["data.tar.gz"], folder=tmp_path, connection=ONCE)
    assert path.read_bytes() == CONTENT
    ranges = [request.range for request in server.downloads()]
    assert ranges == (["bytes=4000-"] if etags else ["bytes=4000-", None])


def test_a_weak_etag_is_not_sent_back(server, tmp_path, monkeypatch):
    """If-Range takes strong ones alone: a server may hold the weak ones for none."""
    answer = server.file

    def weak(name, asked):
        status, headers, body = answer(name, asked)
        return status, headers | {"ETag": 'W/"1"'}, body

    monkeypatch.setattr(server, "file", weak)
    break_off(server, tmp_path)
    fetch(["data.tar.gz"], folder=tmp_path, connection=ONCE)
    (request,) = server.downloads()
    assert (request.range, request.if_range) == ("bytes=4000-", None)


def test_a_part_without_its_note_is_thrown_away(server, tmp_path):
    (tmp_path / "data.tar.gz.part").write_bytes(b"what may this be")
    (tmp_path / "data.tar.gz.part.json").write_text("[")
    (path,) = fetch(["data.tar.gz"], folder=tmp_path)
    assert path.read_bytes() == CONTENT
    assert [request.range for request in server.downloads()] == [None]


def test_a_whole_part_needs_no_download(server, tmp_path):
    break_off(server, tmp_path)
    (tmp_path / "data.tar.gz.part").write_bytes(CONTENT)
    (path,) = fetch(["data.tar.gz"], folder=tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.downloads() == []


@pytest.mark.parametrize("content_range", [None, "bytes 0-10239/10240", "bytes 4000-9/99999"])
def test_an_odd_answer_to_a_range_is_not_appended(server, tmp_path, monkeypatch, content_range):
    break_off(server, tmp_path)
    answer = server.file

    def odd(name, asked):
        status, headers, body = answer(name, asked)
        if status == 206:
            headers.pop("Content-Range")
            headers |= {"Content-Range": content_range} if content_range else {}
        return status, headers, body

    monkeypatch.setattr(server, "file", odd)
    (path,) = fetch(["data.tar.gz"], folder=tmp_path, connection=ONCE)
    assert path.read_bytes() == CONTENT
    assert [request.range for request in server.downloads()] == ["bytes=4000-", None]


def test_a_range_past_the_end_starts_anew(server, tmp_path, monkeypatch):
    break_off(server, tmp_path)
    answer = server.file
    monkeypatch.setattr(
        server, "file", lambda *args: (416, {}, b"") if args[1].get("Range") else answer(*args)
    )
    (path,) = fetch(["data.tar.gz"], folder=tmp_path, connection=ONCE)
    assert path.read_bytes() == CONTENT


def test_a_corrupted_download_leaves_nothing(server, tmp_path):
    server.files["data.tar.gz"] = CONTENT[:-1] + b"?"
    server.listed["data.tar.gz"] = {"checksum": md5(CONTENT)}
    with pytest.raises(InputError, match=r"data\.tar\.gz is damaged.*Received: md5:.* instead of"):
        fetch(["data.tar.gz"], folder=tmp_path / "out")
    assert names_in(tmp_path / "out") == []


def test_a_corrupted_download_spares_what_was_there(server, tmp_path):
    (tmp_path / "data.tar.gz").write_bytes(b"older")
    server.listed["data.tar.gz"] = {"checksum": md5(b"neither")}
    with pytest.raises(InputError, match="is damaged"):
        fetch(["data.tar.gz"], folder=tmp_path)
    assert (tmp_path / "data.tar.gz").read_bytes() == b"older"


@pytest.mark.parametrize("difference", [-1, 1])
def test_another_size_than_listed(server, tmp_path, difference):
    size = len(CONTENT) + difference
    server.listed["data.tar.gz"] = {"size": size}
    with pytest.raises(InputError, match=f"listed data.tar.gz of {size} bytes; nothing of it"):
        fetch(["data.tar.gz"], folder=tmp_path / "out")
    assert names_in(tmp_path / "out") == []
    assert len(server.downloads()) == 1


def test_more_than_was_announced(server, tmp_path, monkeypatch):
    answer = server.file
    monkeypatch.setattr(
        server,
        "file",
        lambda *args: (200, {"Content-Length": "", "ETag": 'W/"1"'}, answer(*args)[2] * 2),
    )
    with pytest.raises(InputError, match="the server has another file"):
        fetch(["data.tar.gz"], folder=tmp_path / "out", connection=ONCE)
    assert names_in(tmp_path / "out") == []


def test_an_empty_file(server):
    server.files["empty"] = b""
    (path,) = fetch(["empty"])
    assert path.read_bytes() == b""


def test_a_download_that_breaks_off_at_every_attempt_is_given_up(server, pauses):
    server.cut = 1000
    with pytest.raises(UnreachableError, match="breaks off"):
        fetch(["data.tar.gz"], connection=Connection(attempts=4))
    assert len(server.downloads()) == 4
    assert pauses == [2.0, 4.0]


def test_a_server_that_asks_for_hours_is_asked_after_a_minute(server, pauses):
    server.busy, server.retry_after = 1, "7200"
    read_record()
    assert pauses == [60.0]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_statuses_that_may_pass_are_tried_again(server, pauses, status):
    server.status["data.tar.gz"] = status
    with pytest.raises(UnreachableError, match=f"Received: status {status} from"):
        fetch(["data.tar.gz"], connection=Connection(attempts=4))
    assert len(server.downloads()) == 4
    assert pauses == [2.0, 4.0]


def test_no_connection_is_tried_again(server, closed_port, pauses):
    with pytest.raises(UnreachableError, match="Connection refused"):
        read_record(base_url=f"http://127.0.0.1:{closed_port}/api")
    assert pauses == [2.0, 4.0, 8.0]


def test_no_connection_may_be_taken_at_its_word(server, closed_port, pauses):
    """As where nothing has been fetched yet; a server that is only busy is asked again."""
    connection = Connection(attempts=3, connects=1)
    with pytest.raises(UnreachableError, match="Connection refused"):
        read_record(base_url=f"http://127.0.0.1:{closed_port}/api", connection=connection)
    assert pauses == []
    server.busy = 2
    assert read_record(connection=connection).number == VERSION
    assert len(pauses) == 2


def test_a_busy_server_is_asked_again_when_it_says(server, pauses):
    server.busy = 2
    connection = Connection(attempts=3)
    assert read_record(connection=connection).number == VERSION
    assert pauses == [7.0, 7.0]
    server.busy = 3
    (server_host,) = re.findall("//(.*)/api", server.url)
    with pytest.warns(UserWarning, match=f"earlier one, because {server_host} cannot be reached"):
        read_record(connection=connection)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "has nothing there. Received: status 404 from http://127"),
        (403, "does not give this to everybody. Received: status 403"),
        (500, "cannot be reached.*Received: status 500"),
        (304, "expected a file. Received: status 304"),
        (416, "expected a file. Received: status 416"),
    ],
)
def test_refused_downloads(server, tmp_path, status, message):
    server.status["data.tar.gz"] = status
    with pytest.raises(DownloadError, match=message):
        fetch(["data.tar.gz"], folder=tmp_path / "out", connection=ONCE)
    assert names_in(tmp_path / "out") == []


def test_offline(server, closed_port, tmp_path):
    url = f"http://127.0.0.1:{closed_port}/api"
    with pytest.raises(
        UnreachableError,
        match=f"127.0.0.1:{closed_port} cannot be reached, or breaks off. Check the network.* "
        rf"Received: Connection refused from {url}/records/14145284$",
    ):
        read_record(base_url=url, connection=ONCE)


def test_offline_what_is_here_is_found(server, monkeypatch):
    (path,) = fetch(["1_DeepSTARR.h5"])
    server.close()
    with pytest.warns(UserWarning, match="the list of files is an earlier one, because"):
        assert fetch(["1_DeepSTARR.h5"], connection=ONCE) == [path]
    with (
        pytest.warns(UserWarning, match="earlier one"),
        pytest.raises(UnreachableError, match="cannot be reached"),
    ):
        fetch(["data.tar.gz"], connection=ONCE)


def test_offline_with_the_list_of_another_server(server, closed_port):
    read_record()
    with pytest.raises(UnreachableError):
        read_record(base_url=f"http://127.0.0.1:{closed_port}/api", connection=ONCE)


def test_offline_with_a_spoilt_list(server, tmp_path):
    read_record()
    server.close()
    (tmp_path / "cache" / f"zenodo-{ALL_VERSIONS}.json").write_text('{"base_url": ')
    with pytest.raises(UnreachableError):
        read_record(connection=ONCE)


def test_a_truncated_listing(server):
    whole = json.dumps(server.described()).encode()
    server.record_body = whole[: len(whole) // 2]
    with pytest.raises(DownloadError, match=r"an answer in JSON.*Received: '\{\"id\": 14145285"):
        read_record(VERSION)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": None}, "may not be open to everybody"),
        ({"files": []}, "expected files with their sizes"),
        ({"files": [{"key": "a"}]}, "Received: no 'size'"),
        ({"id": "x"}, "expected a record's description"),
    ],
)
def test_an_incomplete_listing(server, change, message):
    server.record_body = json.dumps(server.described() | change).encode()
    with pytest.raises(InputError, match=message):
        read_record(VERSION)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({"key": "../../.bashrc"}, r"lead elsewhere; nothing was written. Received: '\.\./\.\./"),
        ({"key": "2_DeepSTARR.h5"}, "expected files of different names"),
        ({"checksum": "none"}, "expected a checksum such as md5"),
        ({"checksum": "crc32:00"}, "expected a checksum such as md5"),
        ({"size": -1}, "expected files with their sizes"),
    ],
)
def test_a_hostile_listing(server, listed, message):
    server.listed["1_DeepSTARR.h5"] = listed
    with pytest.raises(InputError, match=message):
        read_record(VERSION)


def test_an_address_of_another_kind(server, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"weights")
    server.listed["1_DeepSTARR.h5"] = {"links": {"self": secret.as_uri()}}
    with pytest.raises(DownloadError, match=r"an address that begins with https. Received: file:"):
        fetch(["1_DeepSTARR.h5"])


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "..", "a/../../b", "a//b", "a/./b", ". ."),
        *("a\\b", "C:x", "a\x00", "a\nb", "a.part", "a.part.json", 3, None),
    ],
)
def test_names_that_lead_elsewhere(name):
    with pytest.raises(InputError, match=r"expected the name of a file.*Received: "):
        relative_name(name)


def test_pooch_can_ask_whether_a_file_is_there(server):
    (file,) = read_record().choose(["data.tar.gz"])
    downloader = ResumingDownloader("unused", file.size, file.checksum, ONCE)
    assert downloader(file.url, None, None, check_only=True) is True
    server.status["data.tar.gz"] = 404
    assert downloader(file.url, None, None, check_only=True) is False


def test_progress_is_shown_only_when_asked_for(server, capfd):
    fetch(["data.tar.gz"])
    assert capfd.readouterr().err == ""
    fetch(["2_DeepSTARR.h5"], progress=True)
    shown = capfd.readouterr().err
    assert "2_DeepSTARR.h5" in shown
    assert "13.0" in shown
