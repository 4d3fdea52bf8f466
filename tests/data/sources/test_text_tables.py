import gzip
import random

import pandas as pd
import pytest
from pandas.io.parsers import TextFileReader

from degu_tf.data.sources.sequences import read_sequences
from degu_tf.data.sources.starrseq import read_starrseq
from degu_tf.data.sources.table import read_table
from degu_tf.data.sources.text_tables import read_frame
from degu_tf.utils.errors import InputError

MARK = "\ufeff"
SEQUENCES = ["ACGTACGTAC", "GGCATTACAG", "TTGACCATGA", "CAGTCAGTTA", "ATATGCGCAT", "CCGGAATTCC"]


def _lines(separator="\t"):
    rows = [(f"e{row}", sequence, f"0.{row}") for row, sequence in enumerate(SEQUENCES)]
    return [separator.join(row) for row in [("name", "seq", "activity"), *rows]]


def _written(path, lines, end="\n"):
    path.write_bytes((end.join(lines) + end).encode())
    return path


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
@pytest.mark.parametrize("second", [None, 4, 6])
@pytest.mark.parametrize("column", [0, 1])
def test_a_stray_quote_is_refused_with_its_line(tmp_path, separator, second, column):
    lines = _lines(separator)
    for row in filter(None, [2, second]):
        fields = lines[row].split(separator)
        fields[column] = '"' + fields[column]
        lines[row] = separator.join(fields)
    path = _written(tmp_path / "t.txt", lines)
    message = r"line 3 of .*t\.txt: expected quotes around whole fields.*Received: .*e1"
    with pytest.raises(InputError, match=message):
        read_frame(path)
    with pytest.raises(InputError, match=message):
        read_table(path, targets=["activity"], name="name")
    with pytest.raises(InputError, match=message):
        read_sequences(path)


def test_stray_quotes_of_one_line_that_join_its_columns_are_refused(tmp_path):
    lines = _lines(",")
    lines[4] = '"e3,' + SEQUENCES[3] + '",0.3'
    with pytest.raises(InputError, match=r"line 5 of .*expected quotes around whole fields"):
        read_frame(_written(tmp_path / "t.csv", lines))


def test_a_stray_quote_in_the_header_is_refused(tmp_path):
    lines = ["", *_lines(",")]
    lines[1] = '"' + lines[1]
    with pytest.raises(InputError, match=r"line 2 of .*expected quotes around whole fields"):
        read_frame(_written(tmp_path / "t.csv", lines))


def test_starrseq_tables_refuse_them_too(tmp_path):
    header = "ID\tset\tSequence\tDev_log2_enrichment\tHk_log2_enrichment"
    sets = ("Train", "Val", "Test", "Train", "Val", "Test")
    rows = [f"i{row}\t{sets[row]}\t{SEQUENCES[row]}\t{row}\t0.5" for row in range(6)]
    assert len(read_starrseq(_written(tmp_path / "good.txt", [header, *rows])).train) == 2
    rows[1], rows[3] = '"' + rows[1], '"' + rows[3]
    with pytest.raises(InputError, match=r"line 3 of .*expected quotes"):
        read_starrseq(_written(tmp_path / "t.txt", [header, *rows]))


@pytest.mark.parametrize("field", ["5'-UTR", '3"', 'a"b"c', "it''s", "#1", "\\", 'x"'])
def test_quotes_inside_a_field_are_text(tmp_path, field):
    lines = _lines()
    lines[2] = lines[2].replace("e1", field)
    frame = read_frame(_written(tmp_path / "t.tsv", lines))
    assert frame["name"].tolist() == ["e0", field, "e2", "e3", "e4", "e5"]
    assert frame["seq"].tolist() == SEQUENCES


def test_quoted_fields_are_read_without_their_quotes(tmp_path):
    lines = _lines(",")
    lines = [",".join(f'"{field}"' for field in line.split(",")) for line in lines]
    lines[2] = lines[2].replace("e1", 'the ""first"", of two')
    frame = read_frame(_written(tmp_path / "t.csv", lines))
    assert frame["name"].tolist() == ["e0", 'the "first", of two', "e2", "e3", "e4", "e5"]
    assert frame["activity"].tolist() == ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", ["\t", ","])
@pytest.mark.parametrize("zipped", [False, True])
def test_rows_are_lines_that_are_not_blank(tmp_path, separator, end, zipped):
    lines = _lines(separator)
    blank = "  " if separator == "\t" else " \t"
    path = _written(tmp_path / "t.txt", ["", *lines[:3], "", blank, *lines[3:], ""], end)
    if zipped:
        path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    frame = read_frame(path)
    assert frame.to_numpy().tolist() == [line.split(separator) for line in lines[1:]]


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u00a0"])
def test_characters_that_python_takes_for_line_ends_are_text(tmp_path, odd):
    lines = _lines()
    lines[2] = lines[2].replace("e1", f"e{odd}1")
    frame = read_frame(_written(tmp_path / "t.tsv", lines))
    assert frame["name"].tolist() == ["e0", f"e{odd}1", "e2", "e3", "e4", "e5"]


def test_random_lines_are_read_whole_or_refused(tmp_path):
    rng = random.Random(3)
    n_read = 0
    for _ in range(300):
        rows = [
            [f"{row}", "".join(rng.choice('ab" \t,') for _ in range(rng.randrange(5)))]
            for row in range(8)
        ]
        lines = ["key;text", *(";".join(row) for row in rows)]
        try:
            frame = read_frame(_written(tmp_path / "t.csv", lines))
        except InputError:
            continue
        assert frame["key"].tolist() == [row[0] for row in rows]
        n_read += 1
    assert 30 < n_read < 290


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path, separator, quoted):
    lines = _lines(separator)
    if quoted:
        lines[0] = separator.join(f'"{name}"' for name in lines[0].split(separator))
    lines[0] = MARK + lines[0]
    frame = read_frame(_written(tmp_path / "t.txt", lines), ["name", "activity"])
    assert frame.columns.tolist() == ["name", "activity"]
    assert len(frame) == len(SEQUENCES)


def test_rows_that_lack_their_last_fields_have_no_value_there(tmp_path):
    path = _written(tmp_path / "t.tsv", ["a\tb\tc", "1\t2", '"3"\t"4"', "5\t6\t7"])
    expected = pd.DataFrame({"a": ["1", "3", "5"], "b": ["2", "4", "6"], "c": ["", "", "7"]})
    pd.testing.assert_frame_equal(read_frame(path), expected, check_dtype=False)


def test_rows_that_the_parser_loses_are_noticed(tmp_path, monkeypatch):
    path = _written(tmp_path / "t.tsv", _lines())
    read = TextFileReader.read
    monkeypatch.setattr(TextFileReader, "read", lambda *given: read(*given)[:-1])
    with pytest.raises(InputError, match=r"expected a row in each of 6 lines.*Received: 5 rows"):
        read_frame(path)
