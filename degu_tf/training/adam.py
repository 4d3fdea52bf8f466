"""Adam, each weight array updated by one operation; optimisers built before training."""

from typing import Any

import keras
import tensorflow as tf


class OneOperationAdam(keras.optimizers.Adam):
    """Keras' Adam with TensorFlow's own operation for the update of an array.

    The same update as `keras.optimizers.Adam` makes with a dozen operations an array, which on
    small networks take longer than the gradients: the formula is that before section 2.1 of
    Kingma and Ba (2015), as in Keras. Arguments are those of `keras.optimizers.Adam`.

    Examples
    --------
    >>> weight = keras.Variable([1.0, 2.0])
    >>> optimizer = OneOperationAdam(0.1)
    >>> optimizer.apply([tf.constant([1.0, -1.0])], [weight])
    >>> [round(value, 2) for value in weight.numpy().tolist()]
    [0.9, 2.1]
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one array; sparse gradients as Keras does."""
        if self.amsgrad or not isinstance(gradient, tf.Tensor):
            return super().update_step(gradient, variable, learning_rate)
        dtype = variable.dtype
        rate, step = tf.cast(learning_rate, dtype), tf.cast(self.iterations + 1, dtype)
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, dtype),
        )
        return None


def build_optimizer(model: keras.Model) -> None:
    """Create the variables of a model's optimiser, if it has one, before the model is fitted.

    TensorFlow traces a training step that creates variables a second time.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(OneOperationAdam())
    >>> build_optimizer(model)
    >>> model.optimizer.built
    True
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        with model.distribute_strategy.scope():
            optimizer.build(model.trainable_variables)


def _handle(variable: Any) -> tf.Tensor:
    """What TensorFlow's operations know a variable of Keras or TensorFlow by."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
