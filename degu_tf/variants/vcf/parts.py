"""Parts of a scored VCF: settings that any process can score with, and the files of parts."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from degu_tf import __version__
from degu_tf.distillation.ensemble import Ensemble
from degu_tf.distillation.runs import open_run
from degu_tf.heads import HeadLayout
from degu_tf.models.inference.folding import fold
from degu_tf.models.predictor import ModelPredictor
from degu_tf.sequences.genomes.base import Genome
from degu_tf.sequences.genomes.open import open_genome
from degu_tf.sequences.genomes.windows import Variant
from degu_tf.uncertainty.calibration import find_calibration
from degu_tf.utils.checksums import read_checksum, write_checksum
from degu_tf.utils.errors import InputError
from degu_tf.utils.files import atomic_write, content_hash, file_hash
from degu_tf.utils.run_folder import CALIBRATION
from degu_tf.variants.scorer import BATCH_SIZE, VariantScorer
from degu_tf.variants.vcf.outputs import table_lines
from degu_tf.variants.vcf.reader import TEXT, VcfReader
from degu_tf.variants.vcf.survey import Part, WhyNot, scorable

PART = "part_"
"""Prefix of the names of the files of parts."""


@dataclass(frozen=True)
class Scoring:
    """How variants are scored, as plain values from which any process opens the same scorer.

    Attributes
    ----------
    run
        A run, or a file of weights.
    genome
        The genome's file.
    flanks, average_strands, shifts, uncertainty, level, batch_size, pad
        As for `degu_tf.variants.scorer.VariantScorer`.
    gaussian
        Gaussian intervals even where the run is calibrated.
    """

    run: str
    genome: str
    flanks: tuple[str, str] = ("", "")
    average_strands: bool = False
    shifts: tuple[int, ...] = (0,)
    uncertainty: str = "independent"
    level: float = 0.95
    gaussian: bool = False
    batch_size: int = BATCH_SIZE
    pad: str | None = None

    def open_predictor(self) -> ModelPredictor | Ensemble:
        """Open the run.

        Raises
        ------
        InputError
            If the run cannot be read.
        """
        return open_run(self.run)

    def open(
        self, genome: Genome | None = None, predictor: ModelPredictor | Ensemble | None = None
    ) -> VariantScorer:
        """Make the scorer, its predictor folded (`degu_tf.models.inference.folding`).

        Parameters
        ----------
        genome, predictor
            The genome, and what `open_predictor` gives, where they are open already.

        Raises
        ------
        InputError
            If the run or genome cannot be read, or options do not go together.
        """
        predictor = predictor or self.open_predictor()
        conformal = None
        if not self.gaussian:
            conformal = find_calibration(self.run, predictor, self.average_strands)
        if predictor.input_length is None:
            raise InputError(f"expected a model of a fixed input length. Received: {self.run}")
        genome = genome or open_genome(self.genome)
        if self.pad is not None and not genome.of_elements:
            raise InputError(
                "expected a FASTA of elements to pad: windows of a whole genome hold its own "
                "bases, and N beyond the ends of contigs. "
                f"Received: pad={self.pad!r}, {self.genome}"
            )
        return VariantScorer(
            _folded(predictor),
            genome,
            predictor.input_length,
            flanks=self.flanks,
            average_strands=self.average_strands,
            shifts=self.shifts,
            conformal=conformal,
            level=self.level,
            uncertainty=self.uncertainty,
            batch_size=self.batch_size,
            pad=self.pad,
        )

    def identity(
        self, predictor: ModelPredictor | Ensemble, calibrated: bool, genome: Genome
    ) -> dict[str, Any]:
        """Everything that the numbers depend on, for `settings.json`: file contents, not names."""
        file = Path(self.genome).stat()
        left_out = {"run", "genome"} | ({"pad"} if self.pad is None else set())
        calibration = Path(self.run) / CALIBRATION
        return {
            **{key: value for key, value in asdict(self).items() if key not in left_out},
            "version": __version__,
            "predictor": predictor.fingerprint(),
            "calibration": file_hash(calibration) if calibrated else None,
            "genome": {
                "contigs": content_hash(dict(genome.contigs)),
                "bytes": file.st_size,
                "modified": file.st_mtime_ns,
            },
        }


def _folded(predictor: ModelPredictor | Ensemble) -> ModelPredictor | Ensemble:
    if isinstance(predictor, Ensemble):
        return Ensemble([_folded_model(each) for each in predictor.members], predictor.spec)
    return _folded_model(predictor)


def _folded_model(predictor: ModelPredictor) -> ModelPredictor:
    return ModelPredictor(fold(predictor.model), predictor.heads, predictor.batch_size)


def layout(predictor: ModelPredictor | Ensemble) -> HeadLayout:
    """Columns of a predictor's predictions."""
    return predictor.heads.student() if isinstance(predictor, Ensemble) else predictor.heads


class PartWriter:
    """Scores parts of one VCF into files of a folder.

    Parameters
    ----------
    scorer
        The scorer.
    vcf
        The VCF.
    folder
        The folder.
    parts
        All parts of the VCF (`degu_tf.variants.vcf.survey.survey`).
    block
        Variants scored together.
    """

    def __init__(
        self,
        scorer: VariantScorer,
        vcf: str | os.PathLike,
        folder: Path,
        parts: Sequence[Part],
        block: int,
    ) -> None:
        self.scorer, self.folder, self.parts, self.block = scorer, folder, parts, block
        self._reader = VcfReader(vcf)

    def write(self, index: int, scored: Callable[[int], object] = lambda n: None) -> None:
        """Score a part; `scored` is called with the number of variants after each block."""
        part, path = self.parts[index], part_file(self.folder, index)
        self.scorer.floored = {}
        variants = islice(_scorable_from(self._reader, part, self.scorer.why_not), part.size)
        n = 0
        with (
            atomic_write(path) as temporary,
            open(temporary, "w", **TEXT) as file,
        ):
            for block in blocks(variants, self.block):
                file.write(table_lines(self.scorer.score(block)[self.scorer.columns]))
                scored(len(block))
                n += len(block)
            if n < part.size:
                raise InputError(
                    f"expected a VCF and genome that do not change meanwhile. Received: {n} of "
                    f"{part.size} variants from record {part.record + 1} on"
                )
        notes = {"index": index, **asdict(part), "floored": self.scorer.floored}
        write_checksum(path, notes)

    def close(self) -> None:
        """Close the VCF."""
        self._reader.close()


def part_file(folder: Path, index: int) -> Path:
    """Path of a part."""
    return folder / f"{PART}{index:06d}.tsv"


def read_floored(folder: Path, index: int, part: Part) -> dict[str, int] | None:
    """Floored standard deviations of a part by component; None where the part is not intact.

    A part is intact if its file holds what was written, and that is the part asked for.
    """
    notes = read_checksum(part_file(folder, index))
    if notes is None or not {"index": index, **asdict(part)}.items() <= notes.items():
        return None
    return notes["floored"]


def blocks(variants: Iterator[Variant], size: int) -> Iterator[list[Variant]]:
    """Lists of at most `size` variants of one contig, filled in order.

    Examples
    --------
    >>> some = [Variant("1", p, "A", "C") for p in (1, 2, 3)] + [Variant("2", 1, "A", "C")]
    >>> [len(block) for block in blocks(iter(some), 2)]
    [2, 1, 1]
    """
    block: list[Variant] = []
    for variant in variants:
        if block and (len(block) == size or variant.contig != block[0].contig):
            yield block
            block = []
        block.append(variant)
    if block:
        yield block


def _scorable_from(reader: VcfReader, part: Part, why_not: WhyNot) -> Iterator[Variant]:
    """Variants that can be scored, beginning with the first of a part."""
    reader.seek(part.place)
    first = part.allele
    for record in reader:
        for variant, reason in scorable(record, why_not)[first:]:
            if reason is None:
                yield variant
        first = 0
