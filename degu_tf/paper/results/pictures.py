"""Pictures small enough for pages that are committed."""

import io
from pathlib import Path

from PIL import Image

LARGEST = 60_000
"""Bytes of a picture at most."""

_WIDTHS = (1200, 1000, 850, 700, 600, 500, 400, 300)
_COLOURS = 128


def small_picture(
    file: Path, largest: int = LARGEST, colours: int = _COLOURS, widest: int = _WIDTHS[0]
) -> bytes:
    """A PNG of few bytes: scaled down, and of few colours.

    Parameters
    ----------
    file
        A picture.
    largest
        Bytes at most; the narrowest picture is given where even that has more.
    colours, widest
        Colours, and dots in a row, at most.
    """
    with Image.open(file) as opened:
        picture = opened.convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    full = Image.alpha_composite(ground, picture).convert("RGB")
    for width in (widest, *(width for width in _WIDTHS if width < widest)):
        scale = min(1.0, width / full.width)
        size = (round(full.width * scale), max(1, round(full.height * scale)))
        # keeps a colour that few dots have, where the median cut would merge it with others
        reduced = full.resize(size, Image.Resampling.LANCZOS).quantize(
            colours, method=Image.Quantize.MAXCOVERAGE, kmeans=1
        )
        held = io.BytesIO()
        reduced.save(held, format="PNG", optimize=True)
        if held.tell() <= largest:
            break
    return held.getvalue()
