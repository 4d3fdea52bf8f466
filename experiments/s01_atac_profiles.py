"""Supplementary Figure 1: ATAC-seq profiles at base resolution, with an uncertainty for each base.

a, Pearson correlation of predicted and measured coverage: across whole test chromosomes (the
paper's measure), within bins, and of the bins' log counts. b, standard deviation of saliency maps
over initialisations, of the test bins with the largest coverage; a profile's prediction is
averaged over its length. c, correlation of the aleatoric heads with the standard deviation of
replicates, and of students' epistemic heads with their teachers' spread. d, the test bins with the
largest coverage: measured tracks, one student's prediction with its band, and the parts of its
uncertainty. Beside the paper's students, which learn labels of whole bins, are students whose
teachers label every random part as it is drawn. Without data a small genome is simulated, with
planted motifs and three replicate tracks.
"""

from degu_tf.paper.s01_profiles import claims, figure, study
from degu_tf.paper.script import main

PRESETS = study.PRESETS
DATA_HELP = study.DATA_HELP

networks = study.networks
compute = study.compare_profiles
draw = figure.profiles_figure
CLAIMS = claims.CLAIMS
conclude = claims.conclude

if __name__ == "__main__":
    raise SystemExit(main(globals()))
