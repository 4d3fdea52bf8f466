"""A store of the numbered scripts that builds the networks it is asked for and trains none."""

from dataclasses import replace

from degu_tf.distillation.ensemble import Ensemble
from degu_tf.models.predictor import ModelPredictor
from degu_tf.paper.networks.store import Store
from degu_tf.training.objective import measured_objective
from degu_tf.training.run import member_seed


class UntrainedStore(Store):
    """Networks with the weights they are born with; ensembles are remembered.

    `asked` lists the distillation settings of the students asked for, in order.
    """

    def __init__(self, root="nowhere"):
        super().__init__(root, progress=False)
        self.ensembles = {}
        self.asked = []

    def teachers(self, splits, spec, n_members, settings, seed, unlearned="keep"):
        heads = measured_objective(settings, splits.heads, spec.head).heads
        key = (splits.fingerprint, spec.head, settings.loss, n_members, seed)
        if key not in self.ensembles:
            members = [
                ModelPredictor(spec.build(splits.input_shape, heads, member_seed(seed, i)), heads)
                for i in range(n_members)
            ]
            self.ensembles[key] = Ensemble(members, spec)
        return self.ensembles[key]

    def student(self, teachers, splits, settings, seed, distillation=None):
        self.asked.append(distillation)
        heads = teachers.heads.student(distillation.epistemic if distillation else "std")
        model = replace(teachers.spec, head="linear").build(splits.input_shape, heads, seed)
        return ModelPredictor(model, heads)

    def students(self, teachers, splits, seeds, **how):
        return [self.student(teachers, splits, seed=seed, **how) for seed in seeds]
