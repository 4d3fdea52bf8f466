"""Small pictures: few bytes, and colours that few dots have."""

import io

import numpy as np
from PIL import Image

from degu_tf.paper.results.pictures import LARGEST, small_picture


def test_pictures_are_small(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 1800), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size > LARGEST
    assert len(small_picture(tmp_path / "noise.png")) <= LARGEST


def test_pictures_keep_the_colours_of_a_few_dots(tmp_path):
    rng = np.random.default_rng(0)
    pixels = np.full((600, 1200, 3), 255)
    pixels[:, 600:] -= (np.array([0, 100, 200]) * rng.random((600, 600, 1))).astype(int)
    blue, green = (31, 119, 180), (44, 160, 44)
    pixels[100:110, 100:110], pixels[100:110, 300:310] = blue, green
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "figure.png")
    (tmp_path / "small.png").write_bytes(small_picture(tmp_path / "figure.png"))
    small = np.asarray(Image.open(tmp_path / "small.png").convert("RGB")).astype(int)
    scale = small.shape[1] / 1200
    for x, colour in ((105, blue), (305, green)):
        seen = small[round(105 * scale), round(x * scale)]
        assert np.abs(seen - colour).max() < 40


def test_bytes_colours_and_width_are_as_asked(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 1800, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    small = small_picture(tmp_path / "noise.png", largest=30_000, colours=16)
    assert len(small) <= 30_000
    with Image.open(io.BytesIO(small)) as picture:
        assert len(picture.getcolors()) <= 16
    Image.new("RGB", (1800, 900), "white").save(tmp_path / "plain.png")
    with Image.open(io.BytesIO(small_picture(tmp_path / "plain.png", widest=680))) as picture:
        assert picture.size == (680, 340)
