"""What a training tells as it goes: a bar on terminals, lines elsewhere, a log of JSON."""

import time
from pathlib import Path

import keras

from degu_tf.training.run import Run
from degu_tf.utils.json_log import append
from degu_tf.utils.progress import bar, in_lines, line, time_left


class EpochBar(keras.callbacks.Callback):
    """A bar over epochs with the time left, and the losses beside it."""

    def __init__(self, epochs: int, progress: bool | None) -> None:
        super().__init__()
        self._bar = bar(None, "epochs", progress, total=epochs)
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Note the time."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Move the bar."""
        self.seconds.append(time.perf_counter() - self._started)
        shown = {name: f"{(logs or {})[name]:.4f}" for name in ("loss", "val_loss")}
        self._bar.set_postfix(**shown)
        self._bar.update()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Take the bar away."""
        self._bar.close()


def epoch_lines(epochs: int, run: Run) -> list[keras.callbacks.Callback]:
    """The callbacks that tell each epoch, where somebody listens."""
    callbacks: list[keras.callbacks.Callback] = []
    if in_lines(run.progress):
        callbacks.append(_EpochLines(epochs, run))
    if run.log is not None:
        callbacks.append(_EpochLog(epochs, run, run.log))
    return callbacks


class _EpochReport(keras.callbacks.Callback):
    def __init__(self, epochs: int, run: Run) -> None:
        super().__init__()
        self.epochs = epochs
        self.run = run

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.started = self.last = time.perf_counter()


class _EpochLines(_EpochReport):
    """A line an epoch on standard error: losses, and the time left if all epochs are played."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        losses = logs or {}
        left = time_left(self.started, epoch + 1, self.epochs)
        line(
            f"{self.run.name}: epoch {epoch + 1} of {self.epochs}, loss {losses['loss']:.4f}, "
            f"validation {losses['val_loss']:.4f}, {left} left"
        )


class _EpochLog(_EpochReport):
    """A line of JSON an epoch, with all metrics."""

    def __init__(self, epochs: int, run: Run, log: Path) -> None:
        super().__init__(epochs, run)
        self.log = log

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        now = time.perf_counter()
        append(
            self.log,
            event="epoch",
            name=self.run.name,
            folder=None if self.run.folder is None else str(self.run.folder),
            epoch=epoch + 1,
            epochs=self.epochs,
            seconds=round(now - self.last, 3),
            **{name: float(value) for name, value in (logs or {}).items()},
        )
        self.last = now
