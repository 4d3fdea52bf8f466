"""What `degu variants` does: a VCF in, a file of effects and a few lines on it out."""

import argparse
from collections.abc import Callable

from degu_tf.variants.vcf.parts import Scoring
from degu_tf.variants.vcf.score import score_vcf


def variants(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Score a VCF as asked for, and say what was done."""
    done = score_vcf(
        Scoring(
            options.run,
            options.fasta,
            flanks=tuple(options.flanks or ("", "")),
            average_strands=options.average_strands,
            shifts=tuple(options.shifts),
            uncertainty=options.uncertainty,
            level=options.level,
            gaussian=options.gaussian,
        ),
        options.vcf,
        options.out,
        chunk=options.chunk,
        workers=options.workers,
        max_mismatches=options.max_mismatches,
        progress=False if options.quiet else None,
    )
    for component in done.missing:
        say(f"This model gives no {component} uncertainty; its columns are empty")
    n_skipped = sum(done.survey.skipped.values())
    if n_skipped:
        what = "allele is" if n_skipped == 1 else "alleles are"
        say(f"{n_skipped} {what} left out, see {done.skipped}:")
        for reason, count in done.survey.skipped.items():
            say(f"{count:10d} {reason}")
    say(
        f"Wrote {done.out}: {done.survey.n_scorable} variants on {len(done.survey.contigs)} "
        f"contigs, interval: {done.interval}"
    )
