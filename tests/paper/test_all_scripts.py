"""Every numbered script and notebook runs, and the README's commands are those that CI runs."""

import ast
import dataclasses
import json
import re
import runpy
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import degu_tf as degu
from degu_tf import cli
from degu_tf.data.simulation.atac import simulate_profiles
from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.paper.output_folder import plain
from degu_tf.paper.script import REQUIRED
from degu_tf.sequences.encoding import decode
from degu_tf.sequences.fasta import write_fasta

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "experiments").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Folder of the scripts' results, where notebooks find what is finished."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def printed(results, tmp_path_factory):
    """What each script printed when all were run, as a user does it: by one command."""
    log = tmp_path_factory.mktemp("log") / "all.txt"
    command = [sys.executable, "-m", "degu_tf", "reproduce", "all", "--preset", "smoke"]
    with log.open("w") as file:
        subprocess.run(
            [*command, "--out", str(results)],
            stdout=file, stderr=subprocess.STDOUT, timeout=3600, check=False,
        )  # fmt: skip
    return by_script(log.read_text(errors="replace"))


def by_script(text):
    """Output of `degu reproduce`, by the script that it was running."""
    head, *parts = re.split(r"^\d+ of \d+: \w+ \((\w+)\)", text, flags=re.MULTILINE)
    found = dict.fromkeys((script.stem for script in SCRIPTS), head)  # where it ran none: why
    for script, part in zip(parts[::2], parts[1::2], strict=True):
        found[script] = found[script] + part
    return found


def test_output_is_told_apart_by_script():
    """A line of progress begins that of a script; `... failed` has no output of another."""
    text = (
        "notice\n1 of 2: fig3 (02_fig3_covariate_shift) ...\nno room\n1 of 2: fig3 "
        "(02_fig3_covariate_shift) failed: exit code 1\n2 of 2: s3 (s03_evoaug_teachers) ...\nok\n"
    )
    found = by_script(text)
    assert found["02_fig3_covariate_shift"] == "notice\n ...\nno room\n failed: exit code 1\n"
    assert found["s03_evoaug_teachers"] == "notice\n ...\nok\n"
    assert found["s04_ensemble_size"] == "notice\n"


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_runs_at_smoke(script, results, printed):
    out = results / script.stem
    assert (out / "record.json").is_file(), printed[script.stem]  # it is written last
    assert {"figure.png", "figure.pdf", "table.csv", "claims.csv", "settings.json"} <= {
        file.name for file in out.iterdir()
    }
    assert len(pd.read_csv(out / "table.csv"))
    claims = pd.read_csv(out / "claims.csv")
    assert len(claims)
    assert set(claims["verdict"]) == {"not judged at smoke"}
    assert json.loads((out / "settings.json").read_text())["preset"] == "smoke"
    assert not re.search("cuda|oneDNN|absl", printed[script.stem])


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, tmp_path, monkeypatch, results):
    """With little training, where the notebook has a small form; its kernel sees the variables.

    Scripts that a notebook shows are finished where they were tested before, else it runs its own.
    """
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("DEGU_NOTEBOOK", "small")
    monkeypatch.setenv("DEGU_RESULTS", str(results))
    content = nbformat.read(notebook, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(content, timeout=1200, kernel_name="python3", resources=resources).execute()
    stored = nbformat.read(notebook, as_version=4)
    made, kept = shown_by(content), shown_by(stored)
    assert any("image/png" in output["data"] for output in made)
    # what is printed may hold a warning in one run and not in another
    assert [sorted(output["data"]) for output in kept] == [sorted(each["data"]) for each in made]


def shown_by(notebook):
    """Outputs of a notebook's cells, without what they print."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [output for cell in cells for output in cell.outputs if "data" in output]


def test_the_readme_has_the_two_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text()
    lines = [line for line in readme.splitlines() if line.startswith("python3 -m venv ")]
    assert len(lines) == 2
    assert lines[0].endswith(".venv/bin/python experiments/00_quickstart.py")
    assert lines[1].endswith(".venv/bin/python -m pytest")


def imports_before_paper(script):
    """Modules that a script imports before `degu_tf.paper`, which silences TensorFlow's notices."""
    found = []
    for node in ast.parse(script.read_text()).body:
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.module.startswith("degu_tf.paper"):
                return found
            found.append(node.module)
    raise AssertionError(f"{script.name} does not import degu_tf.paper")


def test_no_script_loads_tensorflow_before_its_notices_are_silenced():
    modules = sorted({name for script in SCRIPTS for name in imports_before_paper(script)})
    assert "degu_tf" in modules
    code = f"import importlib, sys; [importlib.import_module(name) for name in {modules}]"
    show = f"{code}; print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_names_what_its_figure_is_made_of(script):
    """Each once, and two lines that run it."""
    body = ast.parse(script.read_text()).body
    names = []
    for node in body:
        if isinstance(node, ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    assert sorted(name for name in names if name in REQUIRED) == sorted(REQUIRED)
    assert ast.unparse(body[-1]).splitlines() == [
        "if __name__ == '__main__':", "    raise SystemExit(main(globals()))",
    ]  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_settings_of_every_preset_are_known_again(script):
    """They are written to the output folder as JSON, by which a later run knows its own."""
    for preset, settings in runpy.run_path(str(script))["PRESETS"].items():
        known = plain(dataclasses.asdict(settings))
        assert json.loads(json.dumps(known)) == known, preset


def test_every_script_is_listed():
    listed = (ROOT / "experiments" / "README.md").read_text()
    assert SCRIPTS
    assert all(f"`{script.name}`" in listed for script in SCRIPTS)


PAGES = (
    "README.md",
    "notebooks/guide.md",
    "experiments/README.md",
    "degu_tf/README.md",
    ".github/CONTRIBUTING.md",
)


@pytest.mark.parametrize("page", PAGES)
def test_links_in_the_pages_exist(page):
    path = ROOT / page
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / link).exists(), link


def blocks(language):
    """Code blocks of one language, in the README and then in the guide."""
    text = "".join((ROOT / page).read_text() for page in PAGES[:2])
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def first_commands():
    """The story that the README begins with, from a table to predictions."""
    return next(block for block in blocks("sh") if block.startswith("degu prepare table"))


@pytest.fixture
def mpra(tmp_path, monkeypatch):
    """A folder with the files that the README's examples name, small ones."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    texts = decode(rng.integers(0, 4, (240, 249)).astype(np.uint8))
    table = pd.DataFrame({"seq": texts, "group": np.arange(240) // 2})
    for target in ("HepG2_log2", "K562_log2"):
        table[target] = rng.normal(size=240)
    table.to_csv("mpra.tsv", sep="\t", index=False)
    table.to_parquet("mpra.parquet")
    write_fasta("new_sequences.fa", ["a", "b"], texts[:2])
    write_fasta("genome.fa", ["chr1"], ["".join(texts[:4])])
    Path("peaks.bed").write_text("chr1\t100\t349\n")
    Path("regions.bed").write_text("chr1\t100\t700\tr\t0\t-\n")
    peaks = ("chr1\t300\t420\tp\t0\t.\t5\t-1\t-1\t60\n", "chr1\t500\t900\tq\t0\t+\t5\t-1\t-1\t9\n")
    Path("summits.narrowPeak").write_text("".join(peaks))
    write_fasta("oligos.fa", ["a", "b"], [texts[0], texts[1][:225]])
    ref = texts[0][160]
    rows = [f"chr1\t161\trs1\t{ref}\t{alt}\t.\t.\t." for alt in "ACGT" if alt != ref]
    head = ["##fileformat=VCFv4.2", "##contig=<ID=chr1>"]
    head.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    Path("variants.vcf").write_text("\n".join([*head, *rows, ""]))
    return texts


def small(command):
    """The same command with little training."""
    command = command.replace("--members 10", "--members 2").replace("--epochs 100", "--epochs 1")
    if command.startswith(("degu train", "degu distill")) and "--epochs" not in command:
        command = re.sub(" --steps [0-9]+", "", command) + " --steps 4"
    return command.split()[1:]


@pytest.mark.slow
def test_the_readmes_shell_example_runs(mpra):
    commands = first_commands()
    for command in commands.splitlines():
        assert cli.main(small(command)) == 0, command
    assert "kmer_ridge" in set(pd.read_csv("metrics.csv")["method"])
    predictions = pd.read_csv("predictions.tsv", sep="\t")
    assert predictions["name"].tolist() == ["a", "b"]
    assert predictions["interval"].tolist() == ["gaussian", "gaussian"]
    assert len(pd.read_csv("peaks.tsv", sep="\t")) == 1


@pytest.mark.slow
def test_the_guides_examples_of_tables_as_they_are_run(mpra):
    table = pd.read_csv("mpra.tsv", sep="\t")
    rng = np.random.default_rng(1)
    counts = table[["seq"]].assign(batch=np.arange(240) % 2)
    for replicate in ("rep1", "rep2", "rep3"):
        counts[replicate] = rng.poisson(20, 240)
    counts.to_csv("counts.tsv", sep="\t", index=False)
    table[["seq"]].assign(open=rng.integers(0, 2, 240)).to_csv("peaks.tsv", sep="\t", index=False)
    cli.main(small(first_commands().splitlines()[0]))
    (tables,) = (block for block in blocks("sh") if "--centre-by" in block)
    for command in tables.splitlines()[1:]:
        assert cli.main(small(command)) == 0, command
    assert degu.data.read_splits("open.h5").heads.task == "binary"
    assert set(degu.data.read_splits("counts.h5").normalisation["centres"]) >= {"rep1"}


@pytest.mark.slow
def test_the_guides_example_of_missing_values_runs(mpra):
    table = pd.read_csv("mpra.tsv", sep="\t").assign(barcodes=np.arange(240) + 1)
    table.loc[::4, "K562_log2"] = np.nan
    table.to_csv("mpra.tsv", sep="\t", index=False)
    (command,) = (block for block in blocks("sh") if "--weight-column" in block)
    assert cli.main(small(command)) == 0
    splits = degu.data.read_splits("d.h5")
    values = splits.n_values("train")
    assert values["HepG2_log2"] == len(splits.train) > values["K562_log2"]


def test_the_readmes_released_example_runs(mpra, server, capsys):
    """Against a server that answers as Zenodo does, with a small model in an archive."""
    build("deepstarr", (249, 4), HeadLayout(("Dev", "Hk")), width=0.03).save_weights("1.weights.h5")
    with tarfile.open("models.tar", "w") as archive:
        archive.add("1.weights.h5", "1_DeepSTARR.h5")
    server.files = {"DeepSTARR_models.tar": Path("models.tar").read_bytes(), "data.h5": b"data"}
    server.knows_all_versions = True
    (commands,) = (block for block in blocks("sh") if block.startswith("degu fetch"))
    for command in commands.splitlines():
        assert cli.main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "DeepSTARR_models.tar" in said
    assert "Dev, Hk" in said
    assert len(server.downloads()) == 1
    assert pd.read_csv("released.tsv", sep="\t")["name"].tolist() == ["a", "b"]


@pytest.mark.slow
def test_the_readmes_example_of_teachers_trained_elsewhere_runs(mpra):
    first = first_commands()
    (foreign,) = (block for block in blocks("sh") if block.startswith("degu distill released"))
    Path("released").mkdir()
    for number in (1, 2):
        model = build("deepstarr", (249, 4), HeadLayout(("Dev", "Hk")), width=0.03)
        model.save_weights(f"released/{number}.weights.h5")
    for command in first.splitlines()[:2] + foreign.splitlines():
        assert cli.main(small(command)) == 0, command
    for run in ("released_student", "of_two"):
        table = pd.read_csv(f"runs/{run}/metrics.csv")
        assert {"HepG2_log2", "K562_log2"} == set(table["target"])


@pytest.mark.slow
def test_the_readmes_example_of_calibration_runs(mpra):
    """Of the teachers: a student of one epoch is sure of too much to be calibrated."""
    first = first_commands()
    (calibrated,) = (block for block in blocks("sh") if block.startswith("degu calibrate"))
    calibrated = calibrated.replace("runs/student", "runs/teachers")
    noise = ["degu train d.h5 --uncertainty heteroscedastic --epochs 1 --members 2 --out runs/h"]
    for command in first.splitlines()[:2] + calibrated.splitlines() + noise:
        assert cli.main(small(command)) == 0, command
    table = pd.read_csv("calibrated.tsv", sep="\t")
    assert table["interval"].tolist() == ["conformal", "conformal"]
    assert len(pd.read_csv("runs/h/metrics.csv"))


@pytest.mark.slow
def test_the_guides_example_of_sequences_of_any_width_runs(mpra):
    first = first_commands()
    (fitted,) = (block for block in blocks("sh") if block.startswith("degu predict runs/student"))
    for command in first.splitlines()[:3] + fitted.splitlines():
        assert cli.main(small(command)) == 0, command
    assert pd.read_csv("summits.tsv", sep="\t")["start"].tolist() == [360 - 124, 509 - 124]
    (region,) = pd.read_csv("regions.tsv", sep="\t").itertuples()
    assert (region.start, region.end, region.strand, region.windows) == (100, 700, "-", 9)
    assert pd.read_csv("oligos.tsv", sep="\t")["start"].tolist() == [0, -12]
    assert {"HepG2_log2.bedGraph", "K562_log2_epistemic.bedGraph"} <= {
        file.name for file in Path("windows").iterdir()
    }
    assert len(list(Path("peak_maps").rglob("maps.h5"))) == 2


@pytest.mark.slow
def test_the_readmes_example_of_attribution_runs(mpra):
    first = first_commands()
    (explained,) = (block for block in blocks("sh") if block.startswith("degu explain"))
    for command in first.splitlines()[:3] + explained.splitlines():
        assert cli.main(small(command.replace("--top 200", "--top 3"))) == 0, command
    for folder in ("maps", "new_maps"):
        assert {file.suffix for file in Path(folder).rglob("*.*")} >= {".npz", ".h5", ".png"}


@pytest.mark.slow
def test_the_readmes_example_of_variants_runs(mpra):
    first = first_commands()
    (scored,) = (block for block in blocks("sh") if block.startswith("degu variants"))
    for command in first.splitlines()[:3] + scored.splitlines():
        assert cli.main(small(command)) == 0, command
    assert pd.read_csv("effects.tsv", sep="\t")["position"].tolist() == [161, 161, 161]
    assert Path("scored.vcf.gz.tbi").is_file()
    assert {file.suffix for file in Path("saturation").rglob("*.*")} >= {".tsv", ".png"}


@pytest.mark.slow
def test_the_readmes_example_of_profiles_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    simulated = simulate_profiles({"chr1": 30_720, "chr8": 9_216, "chr9": 9_216}, seed=0)
    genome, replicates = simulated.write(tmp_path)
    genome.rename("hg38.fa")
    for number, replicate in enumerate(replicates, start=1):
        replicate.rename(f"rep{number}.bw")
    (commands,) = (block for block in blocks("sh") if block.startswith("degu prepare atac"))
    for command in commands.splitlines():
        narrow = command.replace("--members 10", "--members 10 --width 0.02")
        assert cli.main(small(narrow)) == 0, command
    tracks = {file.name for file in Path("tracks").glob("*.bw")}
    assert tracks == {"ATAC.bw", "ATAC_aleatoric.bw", "ATAC_epistemic.bw"}


@pytest.mark.slow
def test_the_readmes_example_of_augmentation_runs(mpra):
    first = first_commands()
    augmented = [block for block in blocks("sh") if "--augment" in block]
    assert len(augmented) == 2  # recipes, dynamic distillation
    for command in first.splitlines()[:2] + "".join(augmented).splitlines():
        assert cli.main(small(command)) == 0, command
    assert Path("dynamic.keras").is_file()


@pytest.mark.slow
def test_the_readmes_python_examples_run(mpra, monkeypatch):
    # what is for several machines runs in tests/training/parallel
    examples = [block for block in blocks("python") if "TF_CONFIG" not in block]
    story, parts, baseline, conformal, fitted, explained, variants, dynamic, own = examples
    little = story.replace("n_members=10", "n_members=2").replace("ACGT...", mpra[0])
    trial = dataclasses.replace(
        degu.recipe("best"), teacher_steps=4, student_steps=4, pool_size=400
    )
    monkeypatch.setattr(degu, "recipe", lambda name: {"best": trial}[name])
    monkeypatch.setattr("degu_tf.distillation.estimator.default_recipe", lambda _: trial)
    names = {}
    assert len(story.strip().splitlines()) <= 10
    exec(little, names)
    assert names["prediction"].mean.shape == (1, 2)
    assert (names["upper"] > names["lower"]).all()
    assert degu.DEGU.load("runs/mpra").ensemble_.n_members == 2
    exec(parts.replace("spec, 10,", "spec, 2,"), names)
    assert names["teachers"].n_members == 2
    exec(baseline, names)
    assert set(names["table"]["head"]) == {"activity"}
    exec(conformal, names)
    assert names["after"].columns.tolist() == names["before"].columns.tolist()
    assert len(names["after"]) == 4
    exec(fitted, names)
    assert names["strongest"].mean.shape == (2, 2)
    exec(explained, names)
    assert names["scores"].shape == (5, 249, 4)
    assert np.abs(names["explained"].delta).max() < 1e-4
    exec(variants, names)
    assert len(names["effects"]) == 3
    assert names["skipped"].empty
    exec(dynamic.replace("epochs=100", "epochs=1"), names)
    exec(own.replace("epochs=100", "epochs=1").replace("network, 10", "network, 2"), names)
    loaded = degu.open_run("runs/own_student")
    assert loaded.fingerprint() == names["own_student"].fingerprint()
    assert Path("student.keras").is_file()
