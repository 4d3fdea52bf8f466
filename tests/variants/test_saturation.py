"""In silico saturation against plain Python, its command, and its heat maps."""

import contextlib
import io
import pickle
import shutil
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from degu_tf import cli
from degu_tf.data.hdf5.splits_file import write_splits
from degu_tf.heads import HeadLayout, Prediction
from degu_tf.plots.variant_maps import (
    Layer,
    _norm,
    draw_heat_maps,
    grid_of,
    heat_maps,
    layers_of,
    reference_of,
)
from degu_tf.sequences.encoding import decode, encode, reverse_complement
from degu_tf.sequences.fasta import write_fasta
from degu_tf.sequences.genomes.elements import SequenceGenome
from degu_tf.utils.errors import InputError
from degu_tf.variants.saturation import saturate, single_nucleotide_variants

LENGTH = 8
WEIGHTS = np.arange(LENGTH * 5.0).reshape(LENGTH, 5) % 7


class Additive:
    """Predicts a sum over positions; its uncertainties are the shares of A and of T."""

    heads = HeadLayout(("y",), "std", "std")
    input_length = LENGTH

    def __init__(self):
        self.seen = []

    def fingerprint(self):
        return "additive"

    def predict(self, sequences):
        tokens = np.asarray(sequences)
        self.seen += decode(tokens)
        mean = WEIGHTS[np.arange(tokens.shape[1]), tokens].sum(axis=1, keepdims=True)
        stds = [1.0 + np.mean(tokens == base, axis=1, keepdims=True) for base in (0, 3)]
        return Prediction(("y",), mean, *stds)


def activity(sequence):
    return sum(WEIGHTS[i, "ACGTN".index(base)] for i, base in enumerate(sequence))


def test_every_variant_of_an_oligo():
    sequence = "ACGTTGCA"
    table = saturate(Additive(), sequence, name="oligo", uncertainty="alternative")
    rows = [
        (i + 1, sequence[i], alt) for i in range(LENGTH) for alt in "ACGT" if alt != sequence[i]
    ]
    assert list(table[["position", "ref", "alt"]].itertuples(index=False, name=None)) == rows
    mutants = [sequence[: p - 1] + alt + sequence[p:] for p, _, alt in rows]
    expected = [activity(mutant) - activity(sequence) for mutant in mutants]
    assert table["y_effect"].tolist() == expected
    assert table["y_aleatoric"].tolist() == [1 + mutant.count("A") / 8 for mutant in mutants]
    assert table["y_epistemic"].tolist() == [1 + mutant.count("T") / 8 for mutant in mutants]
    assert set(table["name"]) == {"oligo"}


def test_windows_of_longer_sequences_are_centred_and_stay_inside():
    sequence = "ACGTTGCAACCTGATTCAGT"
    table = saturate(Additive(), sequence)
    assert len(table) == 60
    for row in table.itertuples():
        start = min(max(row.position - 1 - 3, 0), len(sequence) - LENGTH)
        window = sequence[start : start + LENGTH]
        index = row.position - 1 - start
        mutant = window[:index] + row.alt + window[index + 1 :]
        assert row.y_effect == activity(mutant) - activity(window)
        assert row.shift == start - (row.position - 1 - 3)
    assert (table["shift"] == 0).sum() == 3 * (len(sequence) - LENGTH + 1)


def test_flanks_stay_in_place_and_each_window_is_predicted_once():
    model = Additive()
    table = saturate(model, "ACGT", flanks=("GG", "CC"), batch_size=4)
    assert table["y_effect"][0] == activity("GGCCGTCC") - activity("GGACGTCC")
    seen = [each for each in model.seen if each != "GGAAAACC"]
    assert all(each.startswith("GG") and each.endswith("CC") for each in seen)
    assert len(set(seen)) == 13


def test_unknown_bases_have_no_variants():
    table = saturate(Additive(), "ACGNTGCA")
    assert len(table) == 21
    assert 4 not in set(table["position"])
    assert set(table["unknown"]) == {1}
    with pytest.raises(InputError, match=r"known bases.*none in 'sequence'"):
        saturate(Additive(), "N" * LENGTH)


def test_strings_and_tokens_are_alike():
    assert saturate(Additive(), "acgttgca").equals(saturate(Additive(), encode("ACGTTGCA")[0]))


def test_too_short_a_sequence():
    with pytest.raises(InputError, match=r"of 8 bases or more.*Received: 7 bases in 'x'"):
        saturate(Additive(), "ACGTTGC", name="x")
    with pytest.raises(InputError, match=r"of 6 bases or more.*pad='N'.*Received: 5 bases"):
        saturate(Additive(), "ACGTT", flanks=("A", "C"))


@pytest.mark.parametrize(
    ("options", "before", "behind"),
    [
        ({"pad": "N"}, "N", "NN"),
        ({"pad": "N", "flanks": ("G", "C")}, "G", "NC"),
        ({"pad": "flanks", "flanks": ("TTG", "CAA")}, "G", "CA"),
    ],
)
def test_shorter_sequences_are_padded_and_keep_their_positions(options, before, behind):
    model, sequence = Additive(), "ACGTT"
    table = saturate(model, sequence, **options)
    assert table["position"].tolist() == [place for place in range(1, 6) for _ in range(3)]
    assert table["ref"].tolist() == [base for base in sequence for _ in range(3)]
    for row in table.itertuples():
        mutant = sequence[: row.position - 1] + row.alt + sequence[row.position :]
        assert row.y_alt == activity(before + mutant + behind)
        assert row.y_ref == activity(before + sequence + behind)
    assert set(table["unknown"]) == {(before + behind).count("N")}


def test_padding_changes_nothing_for_longer_sequences():
    sequence = "ACGTTGCAACCTGATTCAGT"
    table = saturate(Additive(), sequence)
    assert saturate(Additive(), sequence, pad="N").equals(table)
    assert saturate(Additive(), sequence, pad="flanks", flanks=("GG", "CC")).equals(table)


def test_padding_that_cannot_be_done_is_refused():
    with pytest.raises(InputError, match=r"expected flanks=.*Received: none"):
        saturate(Additive(), "ACGTT", pad="flanks")
    with pytest.raises(InputError, match="needs 1 bases at the 5' and 2 at the 3' side"):
        saturate(Additive(), "ACGTT", pad="flanks", flanks=("A", "C"))
    with pytest.raises(InputError, match="Received: pad='n'"):
        saturate(Additive(), "ACGTT", pad="n")


def test_sequences_as_a_genome():
    genome = SequenceGenome({"a": "acgtn", "b": "TTTT"})
    assert dict(genome.contigs) == {"a": 5, "b": 4}
    assert genome.fetch("a", 1, 5) == "CGTN"
    assert genome.bounds("b", 3) == (0, 4)
    assert not genome.covers("b", 2, 5)
    assert not genome.covers("c", 0, 1)
    with pytest.raises(InputError, match=r"within b, which has 4 bases\. Received: 3-6"):
        genome.fetch("b", 3, 6)
    assert pickle.loads(pickle.dumps(genome)).fetch("b", 0, 4) == "TTTT"
    with pytest.raises(InputError, match="Received: none"):
        SequenceGenome({})
    with pytest.raises(InputError, match="record 'x'"):
        SequenceGenome({"x": "AC-G"})


def test_variants_count_from_where_they_are_told():
    (variant, *_) = single_nucleotide_variants("chr1", "T", 100)
    assert (variant.position, variant.ref, variant.alt) == (100, "T", "A")


# Heat maps


@pytest.fixture(scope="module")
def saturated():
    return saturate(Additive(), "ACGTTGCAACCTGATTCAGT", uncertainty="alternative")


def test_the_grid_has_each_value_where_it_belongs(saturated):
    grid = grid_of(saturated, "y_effect")
    assert grid.shape == (4, 20)
    first, reference = reference_of(saturated)
    assert (first, reference) == (1, "ACGTTGCAACCTGATTCAGT")
    assert np.isnan(grid).sum() == 20
    assert all(np.isnan(grid["ACGT".index(base), i]) for i, base in enumerate(reference))
    row = saturated.iloc[17]
    assert grid["ACGT".index(row["alt"]), row["position"] - 1] == row["y_effect"]


def test_colours_of_effects_are_centred_on_zero():
    norm = _norm(np.array([[-0.2, 1.0, np.nan]]), signed=True)
    assert norm(0.0) == pytest.approx(0.5)
    assert norm.vmin == -norm.vmax
    assert _norm(np.ones((4, 2)), signed=False)(1.0) == 0.0


def test_lines_of_heat_maps(saturated):
    figure = heat_maps(saturated, layers_of("y"), bases=8, title="oligo")
    maps = [axes for axes in figure.axes if axes.get_ylabel() in
            {"Predicted\neffect", "Aleatoric\nuncertainty", "Epistemic\nuncertainty"}]  # fmt: skip
    assert len(maps) == 9
    assert [axes.get_xlim() for axes in maps[::3]] == [(0.5, 7.5), (7.5, 14.5), (14.5, 21.5)]
    letters = "".join(text.get_text() for axes in maps for text in axes.texts)
    assert letters == "ACGTTGCAACCTGATTCAGT"
    bars = [axes.get_ylabel() for axes in figure.axes if axes not in maps]
    assert bars == ["y"] * 9
    figure = heat_maps(saturated, layers_of("y"), unit="log$_2$")
    assert [axes.get_ylabel() for axes in figure.axes][3:] == ["log$_2$"] * 3


def test_a_dot_marks_each_reference_base(saturated):
    from matplotlib.figure import Figure

    (axes,) = draw_heat_maps(Figure(), saturated, [Layer("y_effect", "e", "RdBu_r", True)])
    dots = axes.collections[-1].get_offsets()
    assert ["TGCA"[int(row)] for _, row in dots] == list("ACGTTGCAACCTGATTCAGT")
    assert [int(place) for place, _ in dots] == list(range(1, 21))


def test_layers_without_values_are_left_out(saturated):
    table = saturated.assign(y_aleatoric=np.nan)
    figure = heat_maps(table, layers_of("y"))
    assert "Aleatoric\nuncertainty" not in [axes.get_ylabel() for axes in figure.axes]
    with pytest.raises(InputError, match="nothing to draw"):
        heat_maps(table, [Layer("y_aleatoric", "a", "Purples")])
    wrong = table.assign(ref=["A", "C", "G"] * 20)
    with pytest.raises(InputError, match=r"one reference base a position.*\['A', 'C', 'G'\] at 1"):
        heat_maps(wrong, layers_of("y"))


# The command


def mutagenize(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="default"),
    ):
        code = cli.main(["mutagenize", *map(str, arguments), "--quiet"])
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())


@pytest.fixture
def run(student_run):
    """A student's run."""
    return student_run


def test_the_command_writes_a_table_and_heat_maps(run, student, splits, tmp_path):
    texts = decode(splits.test.sequences[:2])
    write_fasta(tmp_path / "s.fa", ["one", "two/a"], [texts[0], texts[1] + "ACGTA"])
    out = tmp_path / "out"
    done = mutagenize(
        run, tmp_path / "s.fa", "--out", out, "--head", "Hk", "--heat-maps", "1",
        "--uncertainty", "alternative",
    )  # fmt: skip
    assert done.code == 0, done.err
    table = pd.read_csv(out / "effects.tsv", sep="\t")
    assert table["name"].value_counts().to_dict() == {"one": 96, "two/a": 111}
    expected = saturate(student, texts[0], name="one", uncertainty="alternative")
    assert list(table) == list(expected)
    assert table["Dev_effect"][:96].to_numpy() == pytest.approx(
        expected["Dev_effect"].to_numpy(), rel=1e-4, abs=1e-6
    )
    maps = sorted(file.name for file in (out / "heat_maps").iterdir())
    assert maps == ["000_one_Hk.pdf", "000_one_Hk.png"]
    assert "207 variants of 2 sequences" in done.out
    again = mutagenize(run, tmp_path / "s.fa", "--out", out)
    assert (again.code, "--force" in again.err) == (2, True)
    forced = mutagenize(run, tmp_path / "s.fa", "--out", out, "--heat-maps", "0", "--force")
    assert forced.code == 0, forced.err
    assert not list((out / "heat_maps").iterdir())


def test_the_command_pads_shorter_sequences_and_writes_the_unit(
    run, student, splits, tmp_path, monkeypatch
):
    texts = decode(splits.test.sequences[:2])
    (tmp_path / "s.tsv").write_text(f"name\tseq\nwhole\t{texts[0]}\nshort\t{texts[1][:27]}\n")
    refused = mutagenize(run, tmp_path / "s.tsv", "--out", tmp_path / "o")
    assert refused.code == 2
    assert "up with --pad N or --pad flanks. Received: 27 bases in 'short'" in refused.err
    units = []
    monkeypatch.setattr(
        "degu_tf.plots.variant_maps._colour_bar", lambda *arguments: units.append(arguments[-1])
    )
    done = mutagenize(
        run, tmp_path / "s.tsv", "--pad", "N", "--out", tmp_path / "o", "--unit", "RPM",
        "--head", "Dev", "--heat-maps", "1",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert set(units) == {"RPM"}
    table = pd.read_csv(tmp_path / "o" / "effects.tsv", sep="\t").query("name == 'short'")
    assert table["position"].unique().tolist() == list(range(1, 28))
    by_hand = student.predict(["NN" + texts[1][:27] + "NNN"]).mean[0, 0]
    np.testing.assert_allclose(table["Dev_ref"], by_hand, rtol=1e-4, atol=1e-6)
    assert set(table["unknown"]) == {5}
    refused = mutagenize(run, tmp_path / "s.tsv", "--pad", "flanks", "--out", tmp_path / "p")
    assert (refused.code, "expected --flanks 5' 3'" in refused.err) == (2, True)
    flanks = ("--pad", "flanks", "--flanks", "AC", "AC", "--out", tmp_path / "p")
    refused = mutagenize(run, tmp_path / "s.tsv", *flanks)
    assert "needs 2 bases at the 5' and 3 at the 3' side of record 'short'" in refused.err
    assert not (tmp_path / "p").exists()


@pytest.fixture
def genome(tmp_path):
    """A contig of 200 bases in a file."""
    bases = "".join(np.random.default_rng(3).choice(list("ACGT"), 200))
    write_fasta(tmp_path / "genome.fa", ["chr1"], [bases])
    return SimpleNamespace(path=tmp_path / "genome.fa", bases=bases)


def of_intervals(run, genome, tmp_path, lines, *more):
    (tmp_path / "p.bed").write_text("".join(f"{line}\n" for line in lines))
    out = tmp_path / "out"
    done = mutagenize(
        run, "--bed", tmp_path / "p.bed", "--fasta", genome.path, "--out", out,
        "--heat-maps", "0", "--force", *more,
    )  # fmt: skip
    table = pd.read_csv(out / "effects.tsv", sep="\t") if done.code == 0 else None
    return done, table


def same(table, expected):
    columns = ["position", "ref", "alt", "Dev_effect", "Hk_effect"]
    pd.testing.assert_frame_equal(
        table[columns].reset_index(drop=True),
        expected[columns],
        rtol=1e-3,
        atol=1e-5,
        check_dtype=False,
    )


def test_only_short_intervals_are_filled_up_with_the_genome(run, genome, tmp_path):
    lines = ("chr1\t50\t70\tshort", "chr1\t80\t112\texact", "chr1\t120\t170\tlong")
    done, table = of_intervals(run, genome, tmp_path, lines, "--pad", "flanks")
    assert done.code == 0, done.err
    assert table["name"].value_counts().to_dict() == {"long": 150, "exact": 96, "short": 60}
    for line, name in zip(lines[1:], ("exact", "long"), strict=True):
        alone = of_intervals(run, genome, tmp_path, [line])[1]
        same(table[table["name"] == name], alone)


def test_intervals_of_a_genome_are_mutated_on_their_strand(run, student, genome, tmp_path):
    lines = ("chr1\t50\t90\tlong\t0\t+", "chr1\t100\t132\tback\t0\t-")
    done, table = of_intervals(run, genome, tmp_path, lines)
    assert done.code == 0, done.err
    assert list(table)[:5] == ["name", "chrom", "start", "end", "strand"]
    long, back = table[table["name"] == "long"], table[table["name"] == "back"]
    same(long, saturate(student, genome.bases[50:90]))
    same(back, saturate(student, reverse_complement(genome.bases[100:132])))
    assert back[["start", "end", "strand"]].drop_duplicates().values.tolist() == [[100, 132, "-"]]


def test_intervals_are_resized_and_padded_as_for_predict(run, student, genome, tmp_path):
    peak = "chr1\t50\t90\tpeak\t0\t{}\t1\t1\t1\t10"
    done, table = of_intervals(run, genome, tmp_path, [peak.format("+")], "--summit")
    assert done.code == 0, done.err
    same(table, saturate(student, genome.bases[45:77]))  # 60 lies at (32 - 1) // 2
    _, table = of_intervals(run, genome, tmp_path, [peak.format(".")], "--resize", "36")
    same(table, saturate(student, genome.bases[52:88]))
    short = "chr1\t60\t87\ta\t0\t{}"
    refused, _ = of_intervals(run, genome, tmp_path, [short.format("+")])
    assert "--pad N or --pad flanks. Received: 27 bases in 'a'" in refused.err
    _, table = of_intervals(run, genome, tmp_path, [short.format("+")], "--pad", "flanks")
    whole = saturate(student, genome.bases[58:90])
    inside = whole[whole["position"].between(3, 29)].reset_index(drop=True)
    same(table, inside.assign(position=inside["position"] - 2))
    _, table = of_intervals(run, genome, tmp_path, [short.format("-")], "--pad", "flanks")
    whole = saturate(student, reverse_complement(genome.bases[57:89]))
    inside = whole[whole["position"].between(3, 29)].reset_index(drop=True)
    same(table, inside.assign(position=inside["position"] - 2))


def test_intervals_at_the_end_of_a_contig_hold_n_where_that_is_said(run, student, genome, tmp_path):
    line = ["chr1\t0\t20\tend"]
    refused, _ = of_intervals(run, genome, tmp_path, line, "--resize")
    assert refused.code == 2
    assert "runs over an end of chr1, which has 200 bases; fill it up with --pad N" in refused.err
    _, table = of_intervals(run, genome, tmp_path, line, "--resize", "--pad", "N")
    same(table, saturate(student, "N" * 6 + genome.bases[:26]))
    for options, message in (
        (("--bed", genome.path), "--bed FILE and --fasta GENOME together"),
        ((genome.path, "--resize"), "expected --bed with --resize"),
        ((), "expected a file of sequences, or --bed with --fasta. Received: neither"),
    ):
        refused = mutagenize(run, *options, "--out", tmp_path / "x")
        assert (refused.code, message in refused.err) == (2, True), refused.err


def test_the_command_reads_hdf5_and_uses_a_calibration(run, splits, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    write_splits(tmp_path / "d.h5", replace(splits, test=splits.test.take(np.arange(3))))
    calibrated = ["calibrate", str(tmp_path / "run"), str(tmp_path / "d.h5")]
    with contextlib.redirect_stdout(io.StringIO()):
        assert cli.main(calibrated) == 0
    tables = []
    for number, more in enumerate((["--level", "0.8"], ["--level", "0.8", "--gaussian"])):
        out = tmp_path / f"out{number}"
        done = mutagenize(
            tmp_path / "run", tmp_path / "d.h5", "--out", out, "--heat-maps", "0", *more
        )
        assert done.code == 0, done.err
        assert ("Conformal 80 % intervals" in done.out) == (number == 0)
        tables.append(pd.read_csv(out / "effects.tsv", sep="\t"))
    assert tables[0]["name"].nunique() == 3
    assert tables[0]["Dev_effect"].equals(tables[1]["Dev_effect"])
    assert not np.allclose(tables[0]["Dev_lower"], tables[1]["Dev_lower"])


def test_what_the_command_refuses(run, splits, tmp_path):
    texts = decode(splits.test.sequences[:2])
    write_fasta(tmp_path / "twice.fa", ["a", "a"], texts)
    write_fasta(tmp_path / "short.fa", ["a", "b"], [texts[0], texts[1][:20]])
    out = tmp_path / "out"
    for file, more, message in (
        ("twice.fa", [], "'a' twice"),
        ("short.fa", [], "32 bases or more"),
        ("short.fa", ["--head", "dev"], "Did you mean Dev? Received: --head dev"),
        ("none.fa", [], "which is no file"),
    ):
        done = mutagenize(run, tmp_path / file, "--out", out, *more)
        assert done.code == 2
        assert message in done.err, done.err
        assert not out.exists()
