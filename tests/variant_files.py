"""A genome and a VCF of all kinds of alleles, for tests of `degu variants`."""

import numpy as np
import pysam.bcftools

SIZES = {"chr1": 200, "chr2": 90, "chrM": 40}
HEADER = """\
##fileformat=VCFv4.2
##contig=<ID=1>
##contig=<ID=2>
##contig=<ID=MT>
##contig=<ID=unplaced>
##INFO=<ID=AF,Number=A,Type=Float,Description="share">
##INFO=<ID=NOTE,Number=1,Type=String,Description="anything">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb
"""


def write_variants(folder):
    """Write `g.fa`, `v.vcf` and `v.vcf.gz` to a folder."""
    rng = np.random.default_rng(4)
    bases = {name: "".join(rng.choice(list("ACGT"), size)) for name, size in SIZES.items()}
    (folder / "g.fa").write_text("".join(f">{name}\n{seq}\n" for name, seq in bases.items()))
    lines = []
    for contig, name in (("1", "chr1"), ("2", "chr2"), ("MT", "chrM")):
        seq = bases[name]
        for start, ref in enumerate(seq):
            others = [base for base in "ACGT" if base != ref]
            kind = rng.integers(9)
            alts = {0: ["*", others[0]], 1: ["<DEL>"], 2: [ref + "GG", others[1]]}.get(kind, others)
            if kind == 3 and start + 4 < len(seq):
                ref, alts = seq[start : start + 4], [ref]
            if kind == 4:
                ref, alts = ref.lower(), [others[0].lower()]
            if kind > 7:
                continue
            info = f"AF={','.join(f'{x:.3f}' for x in rng.random(len(alts)))};NOTE={'x' * 900}"
            row = (contig, start + 1, f"v{start}", ref, ",".join(alts), 30, "PASS", info, "GT")
            lines.append("\t".join(map(str, row)) + "\t./.\t0/1")
    lines.append("unplaced\t1\t.\tA\tC\t.\t.\t.\tGT\t./.\t./.")
    (folder / "v.vcf").write_text(HEADER + "\n".join(lines) + "\n")
    pysam.bcftools.view(
        "-Oz", "-o", str(folder / "v.vcf.gz"), str(folder / "v.vcf"), catch_stdout=False
    )
