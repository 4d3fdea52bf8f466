"""`degu variants`: effects of the variants of a VCF, with their uncertainty."""

import argparse
import os
from contextlib import nullcontext

from degu_tf.cli.options import (
    FORCE,
    effect_options,
    flag,
    option,
    quiet_option,
    run_argument,
    share,
    verb,
    whole_number,
)
from degu_tf.cli.output import check_out, counted, progress, say
from degu_tf.cli.shared.engine_options import check_custom_layers, engine_of, engine_options
from degu_tf.cli.shared.fitting import check_padding, pad_option
from degu_tf.cli.shared.inputs import check_files, check_run
from degu_tf.utils import quiet

_CHUNK = 16384


def add(verbs: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Declare the verb."""
    variants = verb(
        verbs,
        "variants",
        "effects of a VCF's variants with their uncertainty; run the same command again to resume",
        "RUN --vcf FILE --fasta GENOME --out FILE [options]",
        "degu variants runs/y --vcf v.vcf.gz --fasta hg19.fa --out effects.tsv",
        "degu variants runs/y --vcf v.vcf.gz --fasta hg19.2bit --workers 2 --out v.degu.vcf.gz",
    )
    run_argument(variants)
    vcf = (
        "VCF or BCF, plain or bgzipped, sorted as by `bcftools sort`; alleles are left-aligned "
        "against the genome before they are scored"
    )
    variants.add_argument("--vcf", required=True, metavar="FILE", help=vcf)
    genome = "FASTA, plain or bgzipped, or 2bit; or a FASTA of elements named contig:start-end"
    variants.add_argument("--fasta", required=True, metavar="GENOME", help=genome)
    out = (
        "TSV file to write (bgzipped if its name ends in .gz), or an indexed VCF with the effects "
        "as INFO fields (if its name ends in .vcf.gz). Its columns position_normalised, "
        "ref_normalised and alt_normalised, in a VCF DEGU_POSITION_NORMALISED and so on, are the "
        "left-aligned alleles"
    )
    variants.add_argument("--out", required=True, metavar="FILE", help=out)
    flag(variants, "--force", FORCE)
    quiet_option(variants)
    how = variants.add_argument_group("prediction")
    effect_options(how)
    pad_option(
        how, "flanks: with the nearest bases of --flanks", " (elements shorter than the model)"
    )
    how.add_argument(
        "--shifts",
        nargs="+",
        type=int,
        default=(0,),
        metavar="BASES",
        help="average over windows shifted by these distances, such as -5 0 5 (default: 0)",
    )
    work = variants.add_argument_group("computation; the output does not depend on it")
    chunk = "variants scored before results are written, rounded up to whole blocks"
    option(work, "--chunk", "N", chunk, whole_number(1), _CHUNK)
    engine_options(work, "number of processes")
    mismatches = "largest share of reference alleles that may differ from the genome"
    option(variants, "--max-mismatches", "SHARE", mismatches, share, 0.01)
    return variants


def run(options: argparse.Namespace) -> None:
    """Score the variants of a VCF."""
    inputs = [options.run, options.vcf, options.fasta]
    resumed = os.path.isdir(f"{options.out}.parts")
    check_out(options.out, force=options.force or resumed, inputs=inputs)
    check_custom_layers(options)
    check_padding(options, has_genome=False)
    check_run(options.run)
    check_files("a VCF or BCF", options.vcf)
    check_files("a genome FASTA", options.fasta)
    quiet.tensorflow()
    from degu_tf.sequences.genomes.windows import TOO_SHORT
    from degu_tf.variants.vcf.parts import Scoring
    from degu_tf.variants.vcf.score import score_vcf

    elsewhere = options.dask is not None or options.gpus is not None
    with engine_of(options) if elsewhere else nullcontext() as executor:
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
                pad=options.pad,
            ),
            options.vcf,
            options.out,
            chunk=options.chunk,
            workers=options.workers,
            max_mismatches=options.max_mismatches,
            progress=progress(options),
            executor=executor,
        )
    for component in done.missing:
        say(f"This model gives no {component} uncertainty; its columns are empty")
    n_skipped = sum(done.survey.skipped.values())
    if n_skipped:
        alleles = "allele was" if n_skipped == 1 else "alleles were"
        say(f"{n_skipped} {alleles} skipped, see {done.skipped}:")
        for reason, count in done.survey.skipped.items():
            hint = " (--pad fills them up)" if reason == TOO_SHORT else ""
            say(f"{count:10d} {reason}{hint}")
    say(
        f"Wrote {done.out}: {counted(done.survey.n_scorable, 'variant')} on "
        f"{counted(len(done.survey.contigs), 'contig')}, interval: {done.interval}"
    )
    done.check()
