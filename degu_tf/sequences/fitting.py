"""Sequences fitted to a model's length: resized, padded, or cut into windows.

What every door that predicts does with a sequence that is shorter or longer than its model. Spans
are 0-based and half-open, on the + strand of a contig or along a sequence; nothing is ever moved to
stay inside. Where a difference is odd, the smaller half lies on the left, so that a single base
resized to L lies at index (L - 1) // 2, as a variant does in its window.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from degu_tf.sequences.alphabet import UNKNOWN, check_letters, text_records
from degu_tf.sequences.encoding import encode, reverse_complement
from degu_tf.sequences.tiles import Tile, tiles
from degu_tf.utils.errors import InputError
from degu_tf.utils.whole_numbers import is_whole

PADS = ("N", "flanks")
"""What shorter sequences are filled up with: unknown bases, or the bases on both sides of them."""

NO_FLANKS = ("", "")

_LONGER = (
    "take the middle of longer ones with resize=True, or cut them into windows with stride=..."
)
_SHORTER = "fill shorter ones up with pad='N' or pad='flanks'"


@dataclass(frozen=True)
class Fitting:
    """How sequences are fitted to a length.

    Parameters
    ----------
    length
        Bases of a window: what the model takes.
    resize
        First take so many bases around the middle, or around the summit of a peak; True for
        `length`. Intervals of a genome grow into its own bases, sequences into what `pad` gives.
    pad
        Fill what is shorter than a window up on both sides: ``"N"`` with unknown bases,
        ``"flanks"`` with the genome's own bases, or, of sequences, with the nearest bases of
        `flanks`. ``"N"`` also fills what lies beyond the ends of a contig, which is refused else.
    flanks
        Sequences at the 5' and 3' side of every sequence, such as the adapters of a reporter and
        what lies beyond them; for ``pad="flanks"``.
    stride
        Cut what is longer than a window into windows that begin every `stride` bases, the last
        one ending where the sequence does.

    Raises
    ------
    InputError
        If a value is out of range, or options do not go together.

    Examples
    --------
    >>> Fitting(230, resize=True).resized(1000, 1001)
    (886, 1116)
    >>> [tile.start for tile in Fitting(4, stride=3).tiles(9)]
    [0, 3, 5]
    >>> [tuple(tile) for tile in Fitting(9, pad="N").tiles(4)]
    [(-2, 0, 4)]
    """

    length: int
    resize: int | bool | None = None
    pad: str | None = None
    flanks: tuple[str, str] = NO_FLANKS
    stride: int | None = None

    def __post_init__(self) -> None:
        if not is_whole(self.length, 1):
            raise InputError(f"expected windows of one base or more. Received: {self.length} bases")
        for name in ("resize", "stride"):
            value = getattr(self, name)
            as_it_is = value is None or (name == "resize" and isinstance(value, bool))
            if not as_it_is and not is_whole(value, 1):
                raise InputError(f"expected one base or more. Received: {name}={value!r}")
        if self.pad not in (None, *PADS):
            raise InputError(f"expected one of {PADS}. Received: pad={self.pad!r}")
        if self.stride is not None and self.stride > self.length:
            raise InputError(
                f"expected a stride of at most {self.length}, the model's length, so that no base "
                f"is left out. Received: stride={self.stride}"
            )
        check_letters(list(self.flanks), ["the 5' flank", "the 3' flank"])

    @property
    def asked(self) -> bool:
        """Whether any option was given."""
        return bool(self.resize or self.pad or self.stride)

    def resized(self, start: int, end: int, summit: int | None = None) -> tuple[int, int]:
        """The span that is predicted of an interval; its place may lie beyond the contig's ends.

        Parameters
        ----------
        start, end
            The interval.
        summit
            Position of the base to stand in the middle, in place of the interval's.
        """
        if summit is not None:
            start, end = summit, summit + 1
        elif not self.resize:
            return start, end
        own = self.resize
        wanted = self.length if own is None or isinstance(own, bool) else int(own)
        bases = end - start
        left = start + (bases - wanted) // 2 if bases > wanted else start - (wanted - bases) // 2
        return left, left + wanted

    def tiles(self, bases: int, received: str = "") -> list[Tile]:
        """Windows of a stretch of bases, and what each speaks for, in positions of the stretch.

        A window of a shorter stretch begins left of it, at a position below zero.

        Parameters
        ----------
        bases
            Length of the stretch.
        received
            How a message calls it.

        Raises
        ------
        InputError
            If the stretch is shorter or longer and no option says what to do.
        """
        given = f"Received: {received or f'{bases} bases'}"
        if bases < self.length:
            if self.pad is None:
                raise InputError(
                    f"the model takes sequences of {self.length} bases; {_SHORTER}. {given}"
                )
            return [Tile(-((self.length - bases) // 2), 0, bases)]
        if bases > self.length and self.stride is None:
            raise InputError(
                f"the model takes sequences of {self.length} bases; {_LONGER}. {given}"
            )
        return list(tiles(bases, self.length, self.stride))


class Span(NamedTuple):
    """Where a window was cut, and the part of it, `[first, last)`, that it speaks for.

    Of neighbouring windows that overlap each speaks for what is nearer to its own middle. `start`
    is below zero, or `end` beyond the last base, where the window was padded there.
    """

    contig: str
    start: int
    end: int
    strand: str
    first: int
    last: int


@dataclass(eq=False)
class FittedSequences:
    """Windows of a model's length, and what each was cut from.

    Attributes
    ----------
    names
        A name for each sequence or interval.
    sequences
        Tokens `(n_windows, length)` uint8, in the order of `names`; those of the - strand are
        reverse complements. Float `(N, L, 4)` where a file holds sequences that are not one-hot.
    rows
        For each window the index of its sequence in `names`, `(n_windows,)`.
    spans
        For each window where it was cut; empty for sequences that were taken as they are.
    """

    names: list[str]
    sequences: np.ndarray
    rows: np.ndarray
    spans: list[Span] = field(default_factory=list)

    @property
    def tiled(self) -> bool:
        """Whether any sequence has several windows."""
        return len(self.rows) > len(self.names)

    @property
    def first_windows(self) -> np.ndarray:
        """For each sequence the index of its first window."""
        return np.searchsorted(self.rows, np.arange(len(self.names)))

    @property
    def labels(self) -> list[str]:
        """For each window its name and where it was cut: ``"peak1 chr8:100-349(-)"``."""
        names = [self.names[row] for row in self.rows]
        if not self.spans:
            return names
        return [_label(name, span) for name, span in zip(names, self.spans, strict=True)]

    @property
    def unknown(self) -> np.ndarray:
        """Number of unknown bases in each window."""
        return (self.sequences == UNKNOWN).sum(axis=1)


def _label(name: str, span: Span) -> str:
    place = f"{span.contig}:{span.start}-{span.end}" + ("(-)" if span.strand == "-" else "")
    return place if name in (span.contig, place) else f"{name} {place}"


def fit_sequences(
    names: Sequence[str], sequences: Sequence[str], fitting: Fitting
) -> FittedSequences:
    """Fit sequences of any lengths.

    Parameters
    ----------
    names
        A name for each, which is the contig of its windows.
    sequences
        Strings.
    fitting
        How.

    Raises
    ------
    InputError
        If a sequence cannot be encoded, or has another length and no option says what to do.

    Examples
    --------
    >>> from degu_tf.sequences.encoding import decode
    >>> fitting = Fitting(6, pad="flanks", flanks=("TTTTT", "GGGGG"), stride=2)
    >>> fitted = fit_sequences(["a", "b"], ["ACA", "ACACACACA"], fitting)
    >>> decode(fitted.sequences), fitted.rows.tolist()
    (['TACAGG', 'ACACAC', 'ACACAC', 'CACACA'], [0, 1, 1, 1])
    """
    records, labels = text_records(sequences, names)
    check_letters(records, labels)
    pieces = []
    for name, text in zip(names, records, strict=True):
        start, end = fitting.resized(0, len(text))
        received = f"{len(text)} bases in record {name!r}"
        if end - start > len(text) and fitting.pad is None:
            raise InputError(
                f"expected sequences of {end - start} bases or more to resize; {_SHORTER}. "
                f"Received: {received}"
            )
        middle = Stretch(max(start, 0), text[max(start, 0) : end])
        found = fitting.tiles(end - start, received)
        pieces.append(cut(middle, start, found, fitting, name, ".", f"record {name!r}"))
    return joined(names, pieces)


class Stretch(NamedTuple):
    """Known bases, and the position of the first of them."""

    start: int
    bases: str

    @property
    def end(self) -> int:
        """The position behind the last of them."""
        return self.start + len(self.bases)


def cut(
    known: Stretch,
    start: int,
    found: Sequence[Tile],
    fitting: Fitting,
    contig: str,
    strand: str,
    received: str,
) -> tuple[list[str], list[Span]]:
    """Windows as strings of the + strand, and where they were cut.

    Parameters
    ----------
    known
        The bases that are known; others are N or bases of the flanks, as `fitting` says.
    start
        Position of the stretch that the tiles are counted in.
    found
        Windows of it.
    fitting
        The length of a window, and what fills it up.
    contig, strand
        For the spans.
    received
        How a message calls the sequence.
    """
    low, high = start + found[0].start, start + found[-1].start + fitting.length
    whole = filled(known, low, high, fitting, received)
    windows, spans = [], []
    for tile in found:
        first = start + tile.start
        if first >= known.end or first + fitting.length <= known.start:
            raise InputError(
                f"expected windows with at least one known base; resize to less, or leave it out. "
                f"Received: {received}, whose window {first}-{first + fitting.length} lies beyond "
                "its end"
            )
        windows.append(whole[first - low : first - low + fitting.length])
        spoken = max(start + tile.first, known.start), min(start + tile.last, known.end)
        spans.append(Span(contig, first, first + fitting.length, strand, *spoken))
    return windows, spans


def filled(known: Stretch, low: int, high: int, fitting: Fitting, received: str) -> str:
    """Bases from `low` to before `high`, those that are not known filled in.

    Parameters
    ----------
    known
        What is known, none of it outside the span.
    low, high
        The span.
    fitting
        What fills it up: bases of the flanks with ``pad="flanks"``, else N.
    received
        How a message calls the sequence.

    Raises
    ------
    InputError
        If the flanks are too short.
    """
    left, right = max(0, known.start - low), max(0, high - known.end)
    if fitting.pad != "flanks":
        return "N" * left + known.bases + "N" * right
    before, behind = fitting.flanks
    if len(before) < left or len(behind) < right:
        raise InputError(
            f"pad='flanks' needs {left} bases at the 5' and {right} at the 3' side of {received}; "
            f"give longer ones with flanks=..., or pad='N'. Received: flanks of {len(before)} and "
            f"{len(behind)} bases"
        )
    return before[len(before) - left :] + known.bases + behind[:right]


def joined(names: Sequence[str], pieces: Iterable[tuple[list[str], list[Span]]]) -> FittedSequences:
    """The windows of all sequences; those of the - strand are reverse-complemented.

    Parameters
    ----------
    names
        Of the sequences.
    pieces
        For each sequence what `cut` gives.
    """
    windows: list[str] = []
    spans: list[Span] = []
    rows: list[int] = []
    for row, (texts, places) in enumerate(pieces):
        windows += texts
        spans += places
        rows += [row] * len(texts)
    tokens = encode(windows)
    reverse = np.flatnonzero([span.strand == "-" for span in spans])
    if len(reverse):
        tokens[reverse] = reverse_complement(tokens[reverse])
    return FittedSequences(list(names), tokens, np.array(rows), spans)
