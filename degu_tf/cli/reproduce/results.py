"""Published results: a small picture, the verdicts and the record of each finished script.

They lie in ``results/<script>/<preset>/`` of the folder they are published in, with the names of
the data after the preset where they are not simulated, the recipe where one was named, and
``weights`` last where networks were opened instead of trained. The page of all is written by
`degu_tf.cli.reproduce.results_page`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from degu_tf.cli.reproduce.catalogue import CATALOGUE, Entry
from degu_tf.paper.record import RECORD
from degu_tf.paper.results.pictures import small_picture
from degu_tf.paper.results.verdicts import CLAIMS, read_claims
from degu_tf.paper.script import SMOKE
from degu_tf.training.train import write_table
from degu_tf.utils.files import atomic_write, read_json, write_json

FIGURE = "figure.png"
FOLDER, PAGE = "results", "RESULTS.md"
HDF5 = (".h5", ".hdf5")


@dataclass(frozen=True, eq=False)
class Published:
    """Results of a script with one preset and data.

    Attributes
    ----------
    entry
        The script.
    folder
        Where they lie.
    record
        How they were made, and what they cost.
    claims
        The table of `degu_tf.paper.claims.judge`.
    """

    entry: Entry
    folder: Path
    record: dict[str, Any]
    claims: pd.DataFrame

    @property
    def simulated(self) -> bool:
        """Whether the data were simulated."""
        return not self.record["data"]

    @property
    def command(self) -> str:
        """The command that makes them."""
        given = self.record
        parts = [f"degu reproduce {self.entry.name} --preset {given['preset']}"]
        parts += [f"--data {' '.join(given['data'])}"] if given["data"] else []
        parts += [f"--recipe {given['recipe']}"] if given.get("recipe") else []
        parts += ["--weights FOLDER"] if given.get("weights") else []
        parts += [f"--seed {given['seed']}"] if given["seed"] else []
        return " ".join(parts)


def publish(entries: Sequence[Entry], out: Path, to: Path) -> list[str]:
    """Publish what is finished among the results of scripts, and write the page of all.

    What was published before stays, and results of the same preset and data replace it. Test runs
    (`smoke`) are not published, for they judge nothing.

    Parameters
    ----------
    entries
        The scripts whose results are looked for.
    out
        Output folder of the scripts.
    to
        Where to publish, such as ``experiments``; the headlines of a README beside it are renewed.

    Returns
    -------
    list of str
        Names of the scripts whose results were published.
    """
    from degu_tf.cli.reproduce.results_page import headlines, page, with_headlines

    done = []
    for entry in entries:
        source = out / entry.script
        if not (source / RECORD).is_file():
            continue
        record = read_json(source / RECORD)
        if record["preset"] == SMOKE:
            continue
        record["data"] = [Path(file).name for file in record["data"]]
        place = _place(to / FOLDER / entry.script, record)
        place.mkdir(parents=True, exist_ok=True)
        with atomic_write(place / FIGURE) as temporary:
            temporary.write_bytes(small_picture(source / "figure.png"))
        write_table(place / CLAIMS, pd.read_csv(source / CLAIMS))
        write_json(place / RECORD, record)
        done.append(entry.name)
    results = published(to)
    _write(to / PAGE, page(results, to))
    readme = to.resolve().parent / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        renewed = with_headlines(text, headlines(results))
        if renewed != text:
            _write(readme, renewed)
    return done


def published(folder: Path) -> list[Published]:
    """Everything that is published in a folder, in the order of the catalogue."""
    found = []
    for entry in CATALOGUE:
        for file in sorted((folder / FOLDER / entry.script).glob(f"*/{RECORD}")):
            found.append(Published(entry, file.parent, read_json(file), read_claims(file.parent)))
    return found


def _place(folder: Path, record: dict[str, Any]) -> Path:
    """Where among a script's results these lie: by whole names where other data have the short."""
    recipe = [record["recipe"]] if record.get("recipe") else []
    opened = ["weights"] if record.get("weights") else []
    for names in (short_names(record["data"]), record["data"]):
        stems = [Path(name).stem for name in names]
        place = folder / "-".join([record["preset"], *stems, *recipe, *opened])
        held = place / RECORD
        if not held.is_file() or read_json(held)["data"] == record["data"]:
            break
    return place


def short_names(files: Sequence[str]) -> list[str]:
    """Names of data files as they are shown: of tables and genomes their first word, each once.

    Examples
    --------
    >>> short_names(["k562.h5", "PKLR_satmut.tsv.gz", "SORT1_satmut.tsv.gz", "PKLR_element.fa"])
    ['k562.h5', 'PKLR', 'SORT1']
    """
    names = [name if name.endswith(HDF5) else re.split(r"[_.]", name)[0] for name in files]
    return list(dict.fromkeys(names))


def _write(file: Path, text: str) -> None:
    with atomic_write(file) as temporary:
        temporary.write_text(text, encoding="utf-8")
