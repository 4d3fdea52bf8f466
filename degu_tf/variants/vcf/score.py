"""Scoring of a VCF of any size: survey, parts, output.

A first pass counts the variants. They are then scored in parts, which are written with checksums to
a folder beside the output, `OUT.parts`; an interrupted call resumes from the intact ones. Last, the
parts are joined. Variants that are computed together are the same for every size of the parts and
every number of processes, so the output's bytes depend on neither.
"""

import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.utils.checksums import SUFFIX, read_checksum, write_checksum
from degu_tf.utils.errors import InputError, NoResultError
from degu_tf.utils.files import (
    UNFINISHED,
    atomic_write,
    check_output,
    file_hash,
    is_stream,
    read_json,
    write_json,
)
from degu_tf.utils.processes.locks import locked
from degu_tf.utils.progress import bar
from degu_tf.utils.run_folder import SETTINGS, RunFolder
from degu_tf.utils.whole_numbers import is_whole
from degu_tf.variants.scorer import (
    BLOCK,
    MAX_MISMATCHES,
    VariantScorer,
    check_mismatches,
)
from degu_tf.variants.vcf.outputs import (
    check_new_fields,
    join_table,
    join_vcf,
    output_kind,
)
from degu_tf.variants.vcf.parts import (
    PART,
    PartWriter,
    Scoring,
    layout,
    part_file,
    read_floored,
)
from degu_tf.variants.vcf.reader import TEXT, VcfReader
from degu_tf.variants.vcf.survey import Parts, Survey, survey
from degu_tf.variants.vcf.workers import score_parts, score_parts_on

CHUNK = 8 * BLOCK
"""Variants in a part."""

_ATTEMPTS = 2
"""How often missing or damaged parts are scored before the disk is blamed."""

SURVEY = "survey.json"
SKIPPED = "skipped.tsv"


@dataclass(frozen=True)
class Scored:
    """Result of scoring a VCF.

    Attributes
    ----------
    out
        The file of effects.
    index
        Its index, where it is a VCF.
    skipped
        The file of alleles that were not scored, with reasons.
    survey
        Counts of its variants.
    interval
        ``conformal`` or ``gaussian``, ``none`` where the predictor gives no uncertainty.
    missing
        Those of aleatoric and epistemic uncertainty that the predictor does not give.
    """

    out: Path
    index: Path | None
    skipped: Path
    survey: Survey
    interval: str
    missing: tuple[str, ...]

    def check(self) -> None:
        """Refuse a result without any variant.

        Raises
        ------
        NoResultError
            If none was scored; the message has the most common reason.
        """
        if self.survey.n_scorable:
            return
        n_skipped = sum(self.survey.skipped.values())
        if not n_skipped:
            raise NoResultError("no variant was scored. Received: a VCF without records")
        reason, count = next(iter(self.survey.skipped.items()))
        raise NoResultError(
            f"no variant was scored. Received: {n_skipped} alleles, {count} of them skipped with "
            f"the reason {reason!r}; all are listed in {self.skipped}"
        )


def score_vcf(
    scoring: Scoring,
    vcf: str | os.PathLike,
    out: str | os.PathLike,
    *,
    chunk: int = CHUNK,
    workers: int = 1,
    max_mismatches: float = MAX_MISMATCHES,
    progress: bool | None = None,
    block: int = BLOCK,
    executor: Executor | None = None,
) -> Scored:
    """Score every variant of a VCF and write a table, or the VCF with INFO fields.

    Parameters
    ----------
    scoring
        The run, the genome, and how variants are scored.
    vcf
        VCF or BCF, plain or bgzipped, sorted by position within contigs.
    out
        Overwritten if it exists. A name ending `.vcf.gz` gives the VCF's records with INFO fields
        (`degu_tf.variants.vcf.outputs.join_vcf`), one ending `.gz` a bgzipped table. Skipped
        alleles and the reasons are written beside it, to `OUT.skipped.tsv`.
    chunk
        Variants in a part, rounded up to whole blocks.
    workers
        Number of processes; each scores whole parts.
    max_mismatches
        Maximum share of variants whose reference allele differs from the genome.
    progress
        Show progress bars; None shows them where standard error is a terminal.
    block
        Variants scored together.
    executor
        Any `concurrent.futures` executor, to score parts in place of `workers`; its workers see
        the same files.

    Raises
    ------
    InputError
        If a file cannot be read, the VCF is of another genome or already has such INFO fields, or
        `OUT.parts` was begun with other settings.
    """
    for name, value in (("chunk", chunk), ("workers", workers), ("block", block)):
        if not is_whole(value, 1):
            raise InputError(f"{name} must be a whole number from 1. Received: {name}={value}")
    out, vcf = check_output(out, overwrite=True), Path(vcf)
    if is_stream(out):
        raise InputError(
            "expected an output file, beside which the skipped alleles and unfinished parts are "
            f"kept. Received: {out}, a stream"
        )
    kind = output_kind(out)
    for source in (vcf, Path(scoring.genome)):
        if out.exists() and source.exists() and out.samefile(source):
            raise InputError(f"expected an output other than the inputs. Received: {out}")
    with open_genome(scoring.genome) as genome, alone(Path(f"{out}.parts")) as folder:
        predictor = scoring.open_predictor()
        scorer = scoring.open(genome, predictor)
        if kind == "vcf":
            check_new_fields(vcf, scorer.targets)
        task = _Task(scoring, scorer, vcf, RunFolder(folder), block, progress)
        calibrated = scorer.conformal is not None
        found = task.begin(scoring.identity(predictor, calibrated, genome))
        if found is None:
            found = task.survey(genome, chunk, max_mismatches)
        else:
            _check_mismatches(found, max_mismatches)
        task.score(found, executor or workers)
        skipped = out.with_name(f"{out.name}.{SKIPPED}")
        with atomic_write(skipped) as temporary:
            shutil.copyfile(folder / SKIPPED, temporary)
        index = task.join(out, kind, found)
        task.clear()
    _warn_of_skipped(found)
    scorer.warn_of_floored()
    heads = layout(predictor)
    missing = tuple(name for name in ("aleatoric", "epistemic") if not getattr(heads, name))
    interval = "none" if len(missing) == 2 else "gaussian"
    if scorer.conformal is not None:
        interval = "conformal"
    return Scored(out, index, skipped, found, interval, missing)


@dataclass(frozen=True)
class _Task:
    """A VCF that is scored in a folder of parts."""

    scoring: Scoring
    scorer: VariantScorer
    vcf: Path
    folder: RunFolder
    block: int
    progress: bool | None

    def begin(self, identity: dict[str, Any]) -> Survey | None:
        """Claim the folder; return the survey in it, if it is intact."""
        with closing(VcfReader(self.vcf)):
            vcf = file_hash(self.vcf)
        surveyed = None not in [read_checksum(self.folder / name) for name in (SURVEY, SKIPPED)]
        if not surveyed and not any(self.folder.path.glob(f"{PART}*")):
            self.clear()
        try:
            self.folder.begin({"kind": "variants", **identity, "block": self.block, "vcf": vcf})
        except InputError as error:
            raise InputError(
                "expected an output that no other scoring was begun for; run that one again to "
                f"finish it, remove its folder, or choose another output: {error}"
            ) from error
        return Survey.from_dict(read_json(self.folder / SURVEY)) if surveyed else None

    def survey(self, genome: Genome, chunk: int, max_mismatches: float) -> Survey:
        """Read the VCF once; if it is refused, the folder is emptied."""
        try:
            with (
                VcfReader(self.vcf) as reader,
                atomic_write(self.folder / SKIPPED) as temporary,
                open(temporary, "w", **TEXT) as file,
            ):
                parts = Parts(chunk, self.block)
                found = survey(reader, self.scorer.why_not, genome, file, parts, self.progress)
            _check_mismatches(found, max_mismatches)
        except InputError:
            self.clear()
            raise
        write_json(self.folder / SURVEY, found.to_dict())
        for name in (SKIPPED, SURVEY):
            write_checksum(self.folder / name)
        return found

    def score(self, found: Survey, workers: int | Executor) -> None:
        """Score the parts that are missing or damaged, until none is."""
        for _ in range(_ATTEMPTS):
            missing = self._missing(found)
            if not missing:
                return
            self._score(found, missing, workers)
        missing = self._missing(found)
        if missing:
            raise InputError(
                "expected parts to stay as they were written; check the disk, and that nothing "
                f"else writes to this folder. Received: {len(missing)} damaged parts, such as "
                f"{part_file(self.folder.path, missing[0])}"
            )

    def _missing(self, found: Survey) -> list[int]:
        return [
            index
            for index, part in enumerate(found.parts)
            if read_floored(self.folder.path, index, part) is None
        ]

    def _score(self, found: Survey, missing: Sequence[int], workers: int | Executor) -> None:
        sizes = {index: found.parts[index].size for index in missing}
        shown = bar(None, "scoring", self.progress, total=found.n_scorable, keep=True)
        shown.initial = shown.n = found.n_scorable - sum(sizes.values())
        rest = (self.vcf.absolute(), self.folder.path.absolute(), found.parts, self.block)
        files = {name: os.path.abspath(getattr(self.scoring, name)) for name in ("run", "genome")}
        arguments = (vars(self.scoring) | files, *rest)
        with closing(shown):
            if isinstance(workers, Executor):
                score_parts_on(workers, arguments, list(sizes), shown.update)
                return
            workers = min(workers, len(sizes))
            if workers > 1:
                score_parts(workers, arguments, list(sizes), shown.update)
                return
            with closing(PartWriter(self.scorer, *rest)) as writer:
                for index in sizes:
                    writer.write(index, shown.update)

    def join(self, out: Path, kind: str, found: Survey) -> Path | None:
        """Write the output from its parts; return its index, if it has one."""
        parts = self._intact(found)
        if kind == "table":
            join_table(out, self.scorer.columns, parts)
            return None
        numbers = {"last": found.last, "total": found.n_records}
        return join_vcf(
            out, self.vcf, self.scorer.targets, parts, **numbers, progress=self.progress
        )

    def _intact(self, found: Survey) -> Iterator[Path]:
        """Yield each part's file, checked right before it is read; count floored deviations."""
        self.scorer.floored = {}
        for index, part in enumerate(found.parts):
            file = part_file(self.folder.path, index)
            floored = read_floored(self.folder.path, index, part)
            if floored is None:
                raise InputError(
                    "a part was changed while the output was written; run the same command again "
                    f"to score it anew. Received: {file}"
                )
            for name, count in floored.items():
                self.scorer.floored[name] = self.scorer.floored.get(name, 0) + count
            yield file

    def clear(self) -> None:
        """Remove the files of a scoring from the folder, and nothing else."""
        for file in self.folder.path.iterdir():
            name = file.name.removesuffix(SUFFIX)
            ours = name in (SETTINGS, SURVEY, SKIPPED)
            if ours or file.name.startswith((UNFINISHED, PART)):
                file.unlink()


@contextmanager
def alone(folder: Path) -> Iterator[Path]:
    """Create and lock a folder, by a file beside it; remove it if it is empty at the end.

    Raises
    ------
    InputError
        If another process has locked it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(f"{folder}.lock", folder, wait=False):
        try:
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()


def _warn_of_skipped(found: Survey) -> None:
    """Warn if most alleles were skipped, since the output looks like any other."""
    n_skipped = sum(found.skipped.values())
    if n_skipped > found.n_scorable:
        warnings.warn(
            f"{n_skipped} of {n_skipped + found.n_scorable} alleles were skipped; most common "
            f"reason: {next(iter(found.skipped))}",
            stacklevel=3,
        )


def _check_mismatches(found: Survey, max_mismatches: float) -> None:
    check_mismatches(found.examples, found.n_mismatches, found.n_scorable, max_mismatches)
