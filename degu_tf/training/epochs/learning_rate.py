"""The learning rate from epoch to epoch."""

import keras

from degu_tf.training.settings import TrainingSettings


def learning_rate(
    settings: TrainingSettings, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The optimiser's learning rate over so many steps: a number, or a schedule of Keras.

    Examples
    --------
    >>> rate = learning_rate(TrainingSettings(learning_rate=0.01, schedule="cosine"), steps=100)
    >>> [round(float(rate(step)), 4) for step in (0, 50, 100)]
    [0.01, 0.005, 0.0]
    """
    if settings.schedule == "plateau" or (settings.schedule == "constant" and not settings.warmup):
        return settings.learning_rate
    falling = settings.schedule == "cosine"
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if settings.warmup else settings.learning_rate,
        decay_steps=max(1, steps - settings.warmup),
        alpha=0.0 if falling else 1.0,
        warmup_target=settings.learning_rate if settings.warmup else None,
        warmup_steps=settings.warmup,
    )


def rate_callback(settings: TrainingSettings) -> keras.callbacks.Callback:
    """What writes the rate into the history, and lowers it where that is the schedule."""
    if settings.schedule != "plateau":
        return _RateLog()
    return keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=settings.lr_factor, patience=settings.lr_patience
    )


class _RateLog(keras.callbacks.Callback):
    """Writes the learning rate into the history, as the plateau rule does."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
