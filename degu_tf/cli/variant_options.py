"""The words and help of `degu variants`."""

import argparse

from degu_tf.cli.options import (
    FORCE,
    choice,
    flag,
    option,
    probability,
    verb,
    whole,
)

_CHUNK = 16384


def add_variants(verbs: argparse._SubParsersAction) -> None:
    """Declare `degu variants`."""
    variants = verb(
        verbs,
        "variants",
        "effects of a VCF's variants with their uncertainty; the same command goes on if "
        "interrupted",
        "RUN --vcf FILE --fasta GENOME --out FILE [options]",
        "degu variants runs/y --vcf v.vcf.gz --fasta hg19.fa --out effects.tsv",
        "degu variants runs/y --vcf v.vcf.gz --fasta hg19.2bit --workers 2 --out v.degu.vcf.gz",
    )
    variants.add_argument(
        "run",
        metavar="RUN",
        help="run of `degu train` or `degu distill`, or a file that `degu convert` wrote or reads",
    )
    vcf = "VCF or BCF, plain or bgzipped, sorted as `bcftools sort` does"
    variants.add_argument("--vcf", required=True, metavar="FILE", help=vcf)
    genome = "FASTA, plain or bgzipped, or 2bit; or a FASTA of elements named contig:start-end"
    variants.add_argument("--fasta", required=True, metavar="GENOME", help=genome)
    out = "TSV file to write, bgzipped if named .gz; or the VCF with INFO fields and its index, if "
    out += "named .vcf.gz"
    variants.add_argument("--out", required=True, metavar="FILE", help=out)
    flag(variants, "--force", FORCE)
    flag(variants, "--quiet", "no progress bars")
    how = variants.add_argument_group("what is predicted")
    add_window_options(how)
    flag(how, "--average-strands", "average with the reverse complement")
    how.add_argument(
        "--shifts",
        nargs="+",
        type=int,
        default=(0,),
        metavar="BASES",
        help="average over windows moved by so many bases, such as -5 0 5 (default: 0)",
    )
    uncertainty = "of an effect. independent: the root of both alleles' squared standard "
    uncertainty += "deviations; alternative: the alternative allele's; members: the standard "
    uncertainty += "deviation of an ensemble's effects"
    choice(how, "--uncertainty", uncertainty, ("independent", "alternative", "members"))
    option(how, "--level", "P", "probability in the interval", probability, 0.95)
    flag(how, "--gaussian", "Gaussian intervals, calibrated or not")
    work = variants.add_argument_group("how it is done; the output does not depend on it")
    chunk = "variants scored before they are written, rounded up to whole blocks"
    option(work, "--chunk", "N", chunk, whole(1), _CHUNK)
    option(
        work,
        "--workers",
        "N",
        "processes, which share out the contigs, or parts of long ones",
        whole(1),
        1,
    )
    mismatches = "refuse the VCF if a larger share of its reference alleles is not the genome's"
    option(variants, "--max-mismatches", "SHARE", mismatches, _from_0_to_1, 0.01)


def add_window_options(to: argparse._ActionsContainer) -> None:
    """The option that says what surrounds the window."""
    to.add_argument(
        "--flanks",
        nargs=2,
        metavar=("5'", "3'"),
        help="bases that stay at both ends, such as a library's adapters; the window shrinks to "
        "what is between (default: none)",
    )


def _from_0_to_1(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1. Received: {text}")
    return value
