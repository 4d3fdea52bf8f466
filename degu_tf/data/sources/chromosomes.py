"""Assignment of chromosomes to splits, and agreement of genome and tracks on them."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from degu_tf.data.bigwig import BigWig, listed_contigs
from degu_tf.data.splits import NAMES
from degu_tf.sequences.genomes.contigs import find_contig
from degu_tf.utils.errors import InputError

_PRIMARY = re.compile(r"(chr)?([0-9]+|X)")
_SHOWN = 6


@dataclass(frozen=True)
class Chromosomes:
    """Which chromosomes go to which split.

    Parameters
    ----------
    test, validation
        Names of chromosomes (paper: chr8 and chr9).
    train
        Names, or None for all others that have a number or are X: neither Y nor the mitochondrion
        nor unplaced contigs (paper).

    Examples
    --------
    >>> Chromosomes().assign({"chr1": 9000, "chr8": 9000, "chr9": 9000, "chrY": 9000})
    {'chr1': 'train', 'chr8': 'test', 'chr9': 'validation'}
    """

    test: tuple[str, ...] = ("chr8",)
    validation: tuple[str, ...] = ("chr9",)
    train: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for split in NAMES:
            names = getattr(self, split)
            if names is None and split == "train":
                continue
            if isinstance(names, str) or not names:
                raise InputError(
                    f"expected a list of chromosomes for {split}. Received: {split}={names!r}"
                )
            object.__setattr__(self, split, tuple(names))
        _refuse_twice([name for split in NAMES for name in getattr(self, split) or ()])

    def assign(self, contigs: Mapping[str, int]) -> dict[str, str]:
        """The split of each chromosome that has one, in the order of `contigs`.

        Chromosomes may be given by another convention's name (`find_contig`).

        Raises
        ------
        InputError
            If one that was named is not there or is named twice, or none is left for training.
        """
        given = self._found(contigs)
        held_out = dict.fromkeys(given["test"], "test")
        held_out |= dict.fromkeys(given["validation"], "validation")
        if self.train is None:
            others = [name for name in contigs if _PRIMARY.fullmatch(name) and name not in held_out]
        else:
            others = given["train"]
        splits = dict.fromkeys(others, "train") | held_out
        absent = [name for name in splits if name not in contigs]
        if absent:
            raise InputError(
                f"expected chromosomes of the genome, which has {listed_contigs(contigs)}. "
                f"Received: {splits[absent[0]]} {', '.join(absent)}"
            )
        if not others:
            raise InputError(
                "expected chromosomes to train on; name them, as none but those of test and "
                f"validation is called by a number or X. Received: {listed_contigs(contigs)}"
            )
        return {name: splits[name] for name in contigs if name in splits}

    def _found(self, contigs: Mapping[str, int]) -> dict[str, list[str]]:
        """Chromosomes of each split as `contigs` calls them; those that are absent as given."""
        found = {
            split: [find_contig(name, contigs) or name for name in getattr(self, split) or ()]
            for split in NAMES
        }
        _refuse_twice([name for names in found.values() for name in names])
        return found


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"expected each chromosome in one split. Received: {twice[0]} twice")


def agreed_splits(
    chromosomes: Chromosomes,
    contigs: Mapping[str, int],
    tracks: Sequence[BigWig],
    genome: str | os.PathLike,
) -> dict[str, str]:
    """The split of each chromosome, once genome and tracks agree on their names and lengths.

    Names may be of different conventions (`find_contig`); the result has the genome's. Chromosomes
    that no split takes may differ.

    Parameters
    ----------
    chromosomes
        The splits.
    contigs
        Lengths of the genome's contigs.
    tracks
        The tracks.
    genome
        The genome's file, for messages.

    Raises
    ------
    InputError
        If a chromosome is not in the genome or a track, or lengths differ; all such are named.
    """
    everywhere = dict(contigs)
    for track in tracks:
        for name, length in track.contigs.items():
            if find_contig(name, everywhere) is None:
                everywhere[name] = length
    splits = chromosomes.assign(everywhere)
    faults = [f"{name} not in {genome}" for name in splits if name not in contigs]
    for track in tracks:
        for name in splits:
            found = track.contig(name)
            if found is None:
                faults.append(f"{name} not in {track.path}")
            elif name in contigs and track.contigs[found] != contigs[name]:
                faults.append(
                    f"{name} of {contigs[name]} bases in {genome}, of {track.contigs[found]} in "
                    f"{track.path}"
                )
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise InputError(
            "expected the same chromosomes, of the same lengths, in genome and tracks. The genome "
            f"has {listed_contigs(contigs)}. Use the assembly that the reads were aligned to, or "
            f"choose the chromosomes. Received: {'; '.join(faults[:_SHOWN])}{more}"
        )
    return {name: splits[name] for name in contigs if name in splits}
