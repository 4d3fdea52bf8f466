from . import attribution, data, metrics, plots, variants
from .data.simulation.mpra import simulate
from .data.splits import Splits
from .distillation.distill import Augmentation, DistillationSettings, distill, train_student
from .distillation.ensemble import Ensemble
from .distillation.ensemble_training import train_ensemble
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
    "MCDropout",
    "ModelPredictor",
    "ModelSpec",
    "Prediction",
    "Run",
    "Splits",
    "StrandAveraged",
    "Teacher",
    "TrainingSettings",
    "Variant",
    "attribution",
    "build",
    "calibrate",
    "data",
    "distill",
    "evaluate_run",
    "load_released",
    "metrics",
    "open_genome",
    "open_run",
    "plots",
    "quiet",
    "recipe",
    "released_ensemble",
    "scheme",
    "simulate",
    "student_splits",
    "train",
    "train_ensemble",
    "train_student",
    "variants",
]
