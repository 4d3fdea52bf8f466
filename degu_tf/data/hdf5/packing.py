"""Chunks packed for the filters of HDF5, at less cost than the filters' own packers have.

A base-resolution track holds a new value every ten bases or so. A packer that is given the bases
looks at each of them; `pack_runs` is given the runs, and writes for each its row once and then
references to the row before it. Tokens do not repeat, and a general packer searches them in vain;
`pack_tokens` writes three bits for each. Measured by experiments/benchmarks/profiles.py.
"""

import struct
import zlib

import numpy as np

from degu_tf.utils.errors import InputError

_LONGEST = 264
_SHORT = 8
_LITERAL = 32
_LONG_CODE = 7 << 5

MOST_COLUMNS = _LITERAL // 4
"""Float32 columns that `pack_runs` can pack."""

_THREE_BITS = bytes([0b000, 0b100, 0b010, 0b110, 0b001])
_END = bytes([0b111])
_FOLDS = ((5, 0x003F003F003F003F), (10, 0x00000FFF00000FFF), (20, 0x0000000000FFFFFF))


def pack_runs(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Pack rows, each of which is repeated, as an LZF stream.

    Parameters
    ----------
    rows
        `(n, columns)` float32, n at least one, at most eight columns; neighbours may be equal.
    lengths
        How often each row stands there `(n,)`, at least once.

    Returns
    -------
    numpy.ndarray
        Bytes `(m,)` uint8. Unpacked they are `numpy.repeat(rows, lengths, axis=0)`. Rows that are
        not repeated take an eighth more than they hold; store those unpacked.

    Raises
    ------
    InputError
        If there are too many columns.

    Examples
    --------
    >>> pack_runs(np.zeros((1, 1), np.float32), np.array([60])).tolist()
    [3, 0, 0, 0, 0, 224, 227, 3]
    """
    rows = np.ascontiguousarray(rows, np.float32)
    size = rows.shape[1] * rows.itemsize
    if not 0 < size <= _LITERAL:
        raise InputError(f"expected one to eight columns. Received: {rows.shape[1]}")
    per_reference = _LONGEST // size
    whole, last = np.divmod(np.asarray(lengths) - 1, per_reference)
    last *= size
    is_short = last <= _SHORT
    tail = np.where(last == 0, 0, 3 - is_short)
    ends = np.cumsum(1 + size + 3 * whole + tail)
    packed = np.empty(int(ends[-1]), np.uint8)
    starts = np.concatenate([[0], ends[:-1]])
    packed[starts] = size - 1
    fields = np.ndarray((len(packed) - size + 1,), f"V{size}", packed, strides=(1,))
    fields[starts + 1] = rows.view(f"V{size}")[:, 0]

    long_ = np.flatnonzero(~is_short)
    _refer(packed, ends[long_] - 3, last[long_], size)
    short = np.flatnonzero(is_short & (last > 0))
    packed[ends[short] - 2] = (last[short] - 2) << 5
    packed[ends[short] - 1] = size - 1
    many = np.flatnonzero(whole)
    counts = whole[many]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    first = np.repeat(starts[many] + 1 + size, counts)
    _refer(packed, first + 3 * within, per_reference * size, size)
    return packed


def _refer(packed: np.ndarray, at: np.ndarray, n_bytes: np.ndarray | int, back: int) -> None:
    """Write references of `n_bytes` to what lies `back` bytes earlier."""
    packed[at] = _LONG_CODE
    packed[at + 1] = n_bytes - 9
    packed[at + 2] = back - 1


def pack_tokens(tokens: np.ndarray) -> bytes:
    """Pack tokens as a zlib stream (deflate, the gzip filter of HDF5), three bits each.

    Parameters
    ----------
    tokens
        uint8 0 to 4, in any shape, a multiple of eight of them.

    Raises
    ------
    InputError
        If their number is no multiple of eight.

    Examples
    --------
    >>> list(zlib.decompress(pack_tokens(np.arange(40, dtype=np.uint8) % 5))[:7])
    [0, 1, 2, 3, 4, 0, 1]
    """
    if tokens.size % 8:
        raise InputError(f"expected a multiple of eight tokens. Received: {tokens.size}")
    plain = tokens.tobytes()
    words = np.frombuffer(plain.translate(_THREE_BITS.ljust(256)), "<u8").copy()
    for shift, mask in _FOLDS:
        words |= words >> np.uint64(shift)
        words &= np.uint64(mask)
    body = words.view(np.uint8).reshape(-1, 8)[:, :3].tobytes()
    return b"".join((_HEADER, body, _END, struct.pack(">I", zlib.adler32(plain))))


def _header() -> bytes:
    """Beginning of a zlib stream of one block, whose code gives 0 to 6 and its end three bits each.

    RFC 1951, 3.2.7: the lengths of the codes are themselves coded. Here that code has two bits for
    each of 3 (a length), 16 (repeat it), 18 (zeros) and 0; three lengths more than needed are given
    so that the header ends with a byte.
    """
    fields = [(1, 1), (2, 2), (0, 5), (0, 5), (13, 4)]
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14)
    used = (0, 3, 16, 18)
    fields += [(2 if symbol in used else 0, 3) for symbol in order]
    code = dict(zip(used, (0b00, 0b10, 0b01, 0b11), strict=True))
    lengths = [
        (3, 0, 0),
        (16, 6 - 3, 2),
        (18, 138 - 11, 7),
        (18, 111 - 11, 7),
        (3, 0, 0),
        (0, 0, 0),
    ]
    for symbol, extra, n_bits in lengths:
        fields += [(code[symbol], 2), (extra, n_bits)]
    bits = at = 0
    for value, n_bits in fields:
        bits |= value << at
        at += n_bits
    return b"\x78\x01" + bits.to_bytes(at // 8, "little")


_HEADER = _header()
