"""Models are built from their seed, whatever other threads do."""

import random
import threading

import numpy as np

from degu_tf.heads import HeadLayout
from degu_tf.training.model_spec import ModelSpec


def test_threads_that_draw_from_pythons_generator_change_no_weights():
    """As those of a Dask worker do, at any moment."""
    spec = ModelSpec("deepstarr", {"conv_filters": (4,), "conv_kernels": (5,), "dense_units": (4,)})
    heads = HeadLayout(("a",))
    expected = spec.build((32, 4), heads, 7).get_weights()
    over = threading.Event()

    def draw():
        while not over.is_set():
            random.randint(1, 9)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        made = [spec.build((32, 4), heads, 7).get_weights() for _ in range(3)]
    finally:
        over.set()
        thread.join()
    for weights in made:
        for one, other in zip(weights, expected, strict=True):
            assert np.array_equal(one, other)
