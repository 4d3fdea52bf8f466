"""What a training tells as it goes: a bar on terminals, lines elsewhere, a log of JSON."""

import sys
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
        self.epochs = epochs
        self._bar = bar(None, "epochs", progress, total=epochs)
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Note the time, and in the first epoch of a training that resumes, how far it had come."""
        if epoch > self._bar.n and not self._bar.disable:
            self._bar.write(_resumed(epoch, self.epochs), file=sys.stderr)
            self._bar.n = self._bar.initial = epoch
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
        self.first_epoch: int | None = None

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.first_epoch is None:
            self.first_epoch = epoch
            if epoch:
                self.resumed(epoch)

    def resumed(self, epoch: int) -> None:
        """Tell that a training resumes."""


class _EpochLines(_EpochReport):
    """A line an epoch on standard error: losses, and the time left if all epochs are played."""

    def resumed(self, epoch: int) -> None:
        line(f"{self.run.name}: {_resumed(epoch, self.epochs)}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        losses = logs or {}
        first = self.first_epoch or 0
        left = time_left(self.started, epoch + 1 - first, self.epochs - first)
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
        losses = {name: float(value) for name, value in (logs or {}).items()}
        self._append("epoch", epoch, seconds=round(now - self.last, 3), **losses)
        self.last = now

    def resumed(self, epoch: int) -> None:
        self._append("resumed", epoch)

    def _append(self, event: str, epoch: int, **values: float) -> None:
        append(
            self.log,
            event=event,
            name=self.run.name,
            folder=None if self.run.folder is None else str(self.run.folder),
            epoch=epoch + 1,
            epochs=self.epochs,
            **values,
        )


def _resumed(epoch: int, epochs: int) -> str:
    return f"resumed at epoch {epoch + 1} of {epochs}"
