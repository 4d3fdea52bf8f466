"""Cost of scoring variants: each distinct window once, against both alleles of every variant.

A student of DeepSTARR's full size reads windows of 230 bases around the variants of a saturation
mutagenesis, three alternatives a position. `VariantScorer` predicts each window once, plain and
with batch normalisation folded; the other way is `model.predict` of all reference windows and of
all alternative ones, in batches of the same size, windows given as one-hot arrays, so nothing but
prediction is counted there. The ways take turns, and medians over the rounds count. `--memory`
measures instead the peak memory of `degu variants` on VCFs of growing length, with a small model,
in a process of its own for each. Run it as `python experiments/benchmarks/variants.py`.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import degu_tf as degu

LENGTH = 230
MEMORY_SIZES = (10_000, 50_000, 200_000)

_MEBIBYTE = 2**20
_LINE = 60


def write_genome(path: Path, n_bases: int, seed: int = 0) -> str:
    """Write random bases as one contig, `chr1`, and give them."""
    import numpy as np

    bases = "".join(np.random.default_rng(seed).choice(list("ACGT"), n_bases))
    lines = (bases[start : start + _LINE] for start in range(0, n_bases, _LINE))
    path.write_text(">chr1\n" + "\n".join(lines) + "\n")
    return bases


def saturation(bases: str, first: int, n: int) -> list[tuple[int, str, str]]:
    """The first `n` single-nucleotide variants from a 0-based position on.

    Returns
    -------
    list
        1-based position, reference, alternative.
    """
    positions = range(first, first - (-n // 3))
    alleles = ((p + 1, bases[p], alt) for p in positions for alt in "ACGT" if alt != bases[p])
    return list(alleles)[:n]


def race(n: int, rounds: int, batch_size: int, folder: Path) -> dict[str, float]:
    """Median seconds of each way to score `n` variants."""
    from degu_tf.utils import quiet

    quiet.tensorflow()
    import numpy as np

    from degu_tf.models.inference.folding import fold
    from degu_tf.sequences.encoding import encode, one_hot
    from degu_tf.sequences.genomes.windows import Windows
    from degu_tf.variants.scorer import BLOCK, VariantScorer

    bases = write_genome(folder / "genome.fa", n // 3 + 2 * LENGTH)
    genome = degu.open_genome(folder / "genome.fa")
    variants = [degu.Variant("chr1", *alleles) for alleles in saturation(bases, LENGTH, n)]
    heads = degu.HeadLayout(("activity",), aleatoric="std", epistemic="std")
    model = degu.build("deepstarr", (LENGTH, 4), heads)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.path.endswith(("moving_variance", "gamma")):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    windows = [Windows(genome, LENGTH).cut(variant) for variant in variants]
    pairs = [
        one_hot(encode([getattr(window, allele) for window in windows]))
        for allele in ("ref", "alt")
    ]

    def both() -> np.ndarray:
        ref, alt = (model.predict(x, batch_size=batch_size, verbose=0) for x in pairs)
        return (alt - ref)[:, 0]

    def once(scorer: VariantScorer) -> np.ndarray:
        starts = range(0, n, BLOCK)
        tables = [scorer.score(variants[start : start + BLOCK]) for start in starts]
        return np.concatenate([table["activity_effect"] for table in tables])

    ways: dict[str, Callable[[], np.ndarray]] = {"both": both}
    for name, net in (("once", model), ("folded", fold(model))):
        scorer = VariantScorer(
            degu.ModelPredictor(net, heads), genome, LENGTH, batch_size=batch_size
        )
        ways[name] = partial(once, scorer)
    effects = {name: way() for name, way in ways.items()}
    found = {
        f"{name} differs by": float(np.abs(effects[name] - effects["both"]).max())
        for name in ("once", "folded")
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return found | {name: statistics.median(values) for name, values in seconds.items()}


def prepare_memory(folder: Path, sizes: tuple[int, ...]) -> None:
    """Write a small model, a genome, and VCFs of these sizes, in a process of its own."""
    from degu_tf.utils import quiet

    quiet.tensorflow()
    from degu_tf.models.released import card

    heads = degu.HeadLayout(("activity",), aleatoric="std", epistemic="std")
    model = degu.build("deepstarr", (LENGTH, 4), heads, width=0.05)
    model.save_weights(folder / "model.weights.h5")
    card.convert(folder / "model.weights.h5", folder / "model.keras", heads=heads)
    bases = write_genome(folder / "genome.fa", max(sizes) // 3 + 2 * LENGTH)
    for size in sizes:
        with open(folder / f"{size}.vcf", "w", encoding="utf-8") as file:
            file.write("##fileformat=VCFv4.2\n##contig=<ID=chr1>\n")
            file.write("\t".join(("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")))
            for position, ref, alt in saturation(bases, LENGTH, size):
                file.write(f"\nchr1\t{position}\t.\t{ref}\t{alt}\t.\t.\t.")
            file.write("\n")


def score_file(folder: Path, size: int, out: str) -> dict[str, float]:
    """Score one of the VCFs; seconds, and this process' peak memory in bytes."""
    from degu_tf.utils import quiet

    quiet.tensorflow()
    from degu_tf.variants.vcf.parts import Scoring
    from degu_tf.variants.vcf.score import score_vcf

    scoring = Scoring(str(folder / "model.keras"), str(folder / "genome.fa"))
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score_vcf(scoring, folder / f"{size}.vcf", folder / f"{size}{out}", progress=False)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"seconds": time.perf_counter() - start, "peak": peak}


def measure_memory(folder: Path, out: str) -> None:
    """Print time and peak memory for every size, and how far memory rises."""
    subprocess.run([*_again(folder), "--case", "prepare"], check=True)
    peaks = []
    for size in MEMORY_SIZES:
        command = [*_again(folder), "--case", str(size), "--suffix", out]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(result.stdout.splitlines()[-1])
        peaks.append(found["peak"])
        print(
            f"{size:8d} variants to {out}: {found['peak'] / _MEBIBYTE:6.0f} MiB at the most, "
            f"{found['seconds']:.1f} s"
        )
    print(f"memory rises by {(max(peaks) - peaks[0]) / _MEBIBYTE:.0f} MiB")


def _again(folder: Path) -> list[str]:
    return [sys.executable, __file__, "--folder", str(folder)]


def main() -> None:
    """Measure speed, or memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=20_000, help="scored in a round")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--batch-size", type=int, default=256, help="windows predicted at once")
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--suffix", default=".tsv", help="of the files written: .tsv or .vcf.gz")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case == "prepare":
        prepare_memory(arguments.folder, MEMORY_SIZES)
        return
    if arguments.case:
        print(json.dumps(score_file(arguments.folder, int(arguments.case), arguments.suffix)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.memory:
            measure_memory(folder, arguments.suffix)
            return
        n = arguments.variants
        found = race(n, arguments.rounds, arguments.batch_size, folder)
        print(f"{n} variants, batches of {arguments.batch_size}, {arguments.rounds} rounds in turn")
        for way in ("both", "once", "folded"):
            print(f"{way:7s} {found[way]:7.2f} s, {n / found[way]:7.0f} variants a second")
        for way in ("once", "folded"):
            print(
                f"both / {way}: {found['both'] / found[way]:.2f}; effects differ by at most "
                f"{found[f'{way} differs by']:.1e}"
            )


if __name__ == "__main__":
    main()
