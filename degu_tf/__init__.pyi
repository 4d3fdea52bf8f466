from . import plots
from .attribution.background import random_background
from .attribution.deepshap import deepshap
from .attribution.mutagenesis import mutagenesis
from .attribution.saliency import gradient_correction, saliency
from .data.hdf5.splits_file import read_splits, write_splits
from .data.pipeline import steps_per_epoch, training_batches
from .data.simulation.mpra import simulate
from .data.sources.lentimpra import read_lentimpra
from .data.sources.sequences import read_sequences
from .data.sources.starrseq import read_starrseq
from .data.sources.table import read_table
from .data.splits import Split, Splits
from .distillation.distill import (
    Augmentation,
    DistillationSettings,
    distill,
    train_student,
)
from .distillation.ensemble import Ensemble, train_ensemble
from .distillation.estimator import DEGU
from .distillation.evaluation import evaluate_run
from .distillation.labels import student_splits
from .distillation.recipes import recipe
from .distillation.released_ensemble import released_ensemble
from .distillation.runs import open_run
from .distillation.student_model import DistillationModel
from .distillation.teacher import Teacher
from .heads.layout import HeadLayout
from .heads.prediction import Prediction
from .metrics.activity import distance, score, wide
from .metrics.intervals import coverage
from .metrics.kmer_ridge import KmerRidge
from .models.fitted import Fitted
from .models.predictor import ModelPredictor, StrandAveraged
from .models.registry import build
from .models.released.load import load_released
from .sequences.genomes.open import open_genome
from .sequences.genomes.windows import Variant
from .training.augmentation.names import scheme
from .training.augmentation.schemes import EvoAug
from .training.model_spec import ModelSpec
from .training.run import Run
from .training.settings import TrainingSettings
from .training.train import train
from .uncertainty.calibration import calibrate
from .uncertainty.conformal.conformal import Conformal
from .uncertainty.mc_dropout import MCDropout
from .utils import quiet
from .utils.errors import InputError
from .variants.saturation import saturate
from .variants.scorer import score_variants

__version__: str

__all__ = [
    "DEGU",
    "Augmentation",
    "Conformal",
    "DistillationModel",
    "DistillationSettings",
    "Ensemble",
    "EvoAug",
    "Fitted",
    "HeadLayout",
    "InputError",
    "KmerRidge",
    "MCDropout",
    "ModelPredictor",
    "ModelSpec",
    "Prediction",
    "Run",
    "Split",
    "Splits",
    "StrandAveraged",
    "Teacher",
    "TrainingSettings",
    "Variant",
    "build",
    "calibrate",
    "coverage",
    "deepshap",
    "distance",
    "distill",
    "evaluate_run",
    "gradient_correction",
    "load_released",
    "mutagenesis",
    "open_genome",
    "open_run",
    "plots",
    "quiet",
    "random_background",
    "read_lentimpra",
    "read_sequences",
    "read_splits",
    "read_starrseq",
    "read_table",
    "recipe",
    "released_ensemble",
    "saliency",
    "saturate",
    "scheme",
    "score",
    "score_variants",
    "simulate",
    "steps_per_epoch",
    "student_splits",
    "train",
    "train_ensemble",
    "train_student",
    "training_batches",
    "wide",
    "write_splits",
]
