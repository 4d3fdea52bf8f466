"""Folders of weights in the layouts of the paper's record, with networks of small width."""

from pathlib import Path

import numpy as np
from weight_files import save

from degu_tf.heads import HeadLayout
from degu_tf.models import build
from degu_tf.models.released.output_heads import with_head

FORMS = ("_keras2.h5", ".keras", ".weights.h5", "_model.h5")
"""Weights of Keras 2, a model of Keras 3, its weights alone, a model as HDF5."""

FLY = ("Dev", "Hk")
ACTIVITY = ("activity",)


def network(name, length, heads, head="linear", width=0.03, seed=0):
    """A network with random weights whose output varies with the sequence."""
    options = {"dilations": [1]} if name == "residualbind" else {}
    model = build(name, (length, 4), heads, width=width, **options)
    if head != "linear":
        model = with_head(model, head, heads.n_columns)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        fan_in = np.prod(weight.shape[:-1] or (16,))
        if "kernel" in weight.name:
            weight.assign(rng.normal(0, fan_in**-0.5, weight.shape))
        elif "bias" in weight.name:
            positive = 2.0 * ("output" in weight.path)  # keeps deviations above zero
            weight.assign(rng.normal(positive, 0.1, weight.shape))
    return model


def write_set(folder, ending, n, make, form):
    """Members 1 to n, such as `1_DeepSTARR.h5`; names end as those of the format do not."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, n + 1):
        file = save(make(number), folder / f"new_{number}", form)
        suffix = {"_keras2.h5": ".h5", "_model.h5": ".h5"}.get(form, form)
        file.rename(folder / f"{number}_{ending}{suffix}")


def deepstarr(columns, head="linear", shift=0, width=0.03):
    """A maker of DeepSTARRs of the fly's 249 bases."""
    return lambda seed: network("deepstarr", 249, columns, head, width, seed + shift)


def residualbind(columns, head="linear", shift=0, width=0.03):
    """A maker of ResidualBinds of 230 bases."""
    return lambda seed: network("residualbind", 230, columns, head, width, seed + shift)


def write_fly(folder, n, width=0.03):
    """Teachers as whole models and students as weights, both named `N_DeepSTARR`."""
    folder = Path(folder)
    teachers, students = HeadLayout(FLY), HeadLayout(FLY, epistemic="std")
    write_set(folder / "ensemble", "DeepSTARR", n, deepstarr(teachers, width=width), "_model.h5")
    make = deepstarr(students, shift=100, width=width)
    write_set(folder / "distilled", "DeepSTARR", n, make, ".weights.h5")


def write_cell(folder, n, without=(), width=0.03):
    """Every kind of network of one cell type of lentiMPRA, in several formats."""
    folder = Path(folder)
    noisy, both = HeadLayout(ACTIVITY, "std"), HeadLayout(ACTIVITY, "std", "std")
    log_noise = HeadLayout(ACTIVITY, "log_variance")

    def make(heads, head="linear", shift=0):
        return residualbind(heads, head, shift, width)

    sets = {
        "lentiMPRA": ("ensemble", make(noisy), "_model.h5"),
        "ResidualBind": ("distilled", make(both, shift=100), "_keras2.h5"),
        "ResidualBind_heteroscedastic": ("other", make(log_noise, shift=200), "_keras2.h5"),
        "evidential": ("other", make(log_noise, "dense_normal", 300), ".keras"),
        "student_heteroscedastic": ("distilled", make(both, shift=400), "_keras2.h5"),
        "lentiMPRA_random_aug": ("dynamic", make(both, shift=500), "_keras2.h5"),
        "lentiMPRA_mutagenesis_aug": ("dynamic", make(both, shift=600), "_keras2.h5"),
        "lentiMPRA_evoaug_aug": ("dynamic", make(both, shift=700), "_keras2.h5"),
        "student_log_variance": ("distilled", make(both, shift=800), ".weights.h5"),
    }
    for ending, (place, maker, form) in sets.items():
        if ending not in without:
            write_set(folder / place, ending, n, maker, form)
