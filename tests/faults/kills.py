"""Commands that are run to the end, killed at moments, finished, and compared.

A process is forked from a server that has everything loaded, so that it begins in milliseconds.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import time
import zipfile
from collections import Counter
from itertools import count
from multiprocessing import connection
from pathlib import Path
from threading import Lock

import h5py
import numpy as np
from faults.processes import begun_under, loaded_processes, run_command

from degu_tf.paper.record import RECORD
from degu_tf.utils.files import UNFINISHED
from degu_tf.utils.processes.locks import LOCK
from degu_tf.utils.run_folder import STATES

LOADED = loaded_processes(
    [
        "degu_tf.cli",
        "degu_tf.data.sources.table",
        "degu_tf.distillation.distill",
        "degu_tf.distillation.evaluation",
        "degu_tf.models.genome_tracks",
        "degu_tf.paper.networks.store",
        "degu_tf.uncertainty.calibration",
        "degu_tf.variants.vcf.score",
        "keras",
        "matplotlib.pyplot",
        "pysam",
    ]
)
PATIENCE = 15.0
"""Seconds that processes may live on after the one that began them."""

_NUMBERS = count()
_ONE = Lock()


def wait(process):
    """Wait for a process, as several threads may for theirs: only one may ask how any ended."""
    connection.wait([process.sentinel])
    with _ONE:
        process.join()


class Tally(Counter):
    """Numbers of a note: kills by signal, comparisons, and what must not be."""

    faults = ("differences", "leftovers", "orphans")

    def report(self, name):
        """Print the numbers of a command; give those of what must not be, where there are any."""
        counts = {**self, **{fault: self[fault] for fault in self.faults}}
        print(json.dumps({name: counts}), flush=True)
        return {fault: self[fault] for fault in self.faults if self[fault]}


class Job:
    """A command in a folder, and the outputs that it makes there.

    Parameters
    ----------
    folder
        The folder.
    command
        Its arguments, in one text.
    outputs
        Files and folders that the command makes.
    patches
        Values by the dotted names they get, in the process itself.
    """

    def __init__(self, folder, command, outputs=("o",), patches=None):
        self.folder, self.arguments, self.outputs = folder, command.split(), outputs
        self.patches = patches or {}
        self.tally, self.mark = Tally(), ""

    def start(self, before=None):
        """Begin the command."""
        self.mark = f"{os.getpid()}-{next(_NUMBERS)}"
        arguments = (self.folder, self.arguments, self.mark, self.patches, before)
        process = LOADED.Process(target=run_command, args=arguments)
        with _ONE:
            process.start()
        return process

    def errors(self):
        return (self.folder / "errors.txt").read_text()

    def finish(self):
        """Run the command to its end; how many seconds it took."""
        begun = time.perf_counter()
        process = self.start()
        wait(process)
        assert process.exitcode == 0, self.errors()
        return time.perf_counter() - begun

    def end(self, process, how):
        """Send a signal to a process, and wait until it and all it began have ended.

        A command that is terminated or interrupted says so. SIGTERM may also come before there is
        a handler, and an interrupt before the command itself. A native library through which the
        exception of a signal unwinds may abort the process, as glibc did once in some 250 kills
        ("free(): invalid next size"): that is counted, and what is on disk is held to the same.
        """
        workers, sent = len(begun_under(self.mark)), time.perf_counter()
        if process.exitcode is None:
            os.kill(process.pid, how)
            process.join()
        taken = time.perf_counter() - sent
        codes = {signal.SIGINT: (130, 1), signal.SIGTERM: (143, -signal.SIGTERM)}
        if how in codes and process.exitcode == -signal.SIGABRT:
            self.tally["aborted by a library"] += 1
        else:
            assert process.exitcode in (0, *codes.get(how, (-how,))), self.errors()
        if process.exitcode == 1:
            assert "Error" not in self.errors(), self.errors()
        self.count_orphans()
        if process.exitcode == 0:
            return False
        self.tally[how.name] += 1
        if workers:
            self.tally["workers of the killed"] += workers
        print(
            Path(self.arguments[0]).name,
            *self.arguments[1:2],
            how.name,
            f"ended in {taken:.1f} s",
            flush=True,
        )
        return True

    def count_orphans(self):
        until = time.monotonic() + PATIENCE
        while (left := begun_under(self.mark)) and time.monotonic() < until:
            time.sleep(0.05)
        self.tally["orphans"] += len(left)

    def clear(self):
        """Remove the outputs."""
        for name in self.outputs:
            place = self.folder / name
            if place.is_dir():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    def contents(self):
        """What the outputs hold, by file."""
        found = {}
        for name in self.outputs:
            place = self.folder / name
            for path in [place] if place.is_file() else sorted(place.rglob("*")):
                found[str(path.relative_to(self.folder))] = _content(path)
        return found

    def compare(self, whole):
        """Hold the outputs against those of a command that was never killed."""
        found = self.contents()
        left = [
            path for path in self.folder.rglob(".*") if path.name.startswith((UNFINISHED, LOCK))
        ]
        names = {str(path.relative_to(self.folder)) for path in left} | (
            found.keys() - whole.keys()
        )
        differing = [name for name in whole if found.get(name, "none") != whole[name]]
        if names or differing:
            print(self.arguments, "left:", sorted(names), "differing:", differing, flush=True)
        self.tally["compared"] += 1
        self.tally["leftovers"] += len(names)
        self.tally["differences"] += len(differing)

    def whole(self):
        """What the command makes when it is not killed, with the seconds that it takes."""
        self.clear()
        seconds = self.finish()
        made = self.contents()
        assert made
        assert not any(STATES[0] in name or ".parts" in name for name in made)
        self.clear()
        return made, seconds

    def survive(self, whole, seconds, kills, rng, earliest=0.05):
        """Signals follow one another on the same outputs; finished, these are compared.

        `kills` are the signals; where the command ended before its signal it is begun anew.
        """
        pending = list(kills)
        while pending:
            process = self.start()
            process.join(rng.uniform(earliest, 0.8) * seconds)
            if self.end(process, pending[0]):
                if self.has_states():
                    self.tally["from states"] += 1
                del pending[0]
            else:
                self.compare(whole)
                self.clear()
        self.finish()
        self.compare(whole)
        self.clear()

    def has_states(self):
        return any((self.folder / self.outputs[0]).rglob(STATES[0]))


def _content(path):
    """Weights of a model, names in a manifest or a record, a hash; nothing of how long it took."""
    if path.is_dir():
        return "folder"
    if path.suffix == ".keras":
        return _weights(path)
    if path.name == "history.csv":
        lines = [line.split(",") for line in path.read_text().splitlines()]
        place = lines[0].index("seconds")
        return [line[:place] + line[place + 1 :] for line in lines]
    if path.name == "manifest.json":
        return sorted(json.loads(path.read_text())["files"])
    if path.name == RECORD or path.parent.name == "processor_seconds":  # what a script cost
        return sorted(json.loads(path.read_text()))
    if path.suffix == ".pdf":  # it tells the time
        return "pdf"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _weights(path):
    """Hashes of a model's arrays, by name."""
    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = hashlib.sha256(np.ascontiguousarray(item[()]).tobytes()).hexdigest()

    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as member,
        h5py.File(member) as file,
    ):
        file.visititems(add)
    assert found
    return found


class Fatal:
    """Kills its process just before or just after its `number`-th rename."""

    def __init__(self, number, after):
        self.number, self.after = number, after

    def __call__(self):
        plain, left = os.replace, count(1)

        def replace(*arguments, **named):
            last = next(left) == self.number
            if last and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            plain(*arguments, **named)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = replace


class FatalInWorker:
    """Kills the first worker of a pool that comes to its `number`-th rename, before or after it.

    The worker leaves a file `killed.txt`, by which others know that they need not.
    """

    def __init__(self, number, after):
        self.number, self.after = number, after

    def __call__(self):
        from degu_tf.utils.processes import engines, pools

        arguments = self.number, self.after

        def workers(n, devices=()):
            return pools.pool(n, "at a rename", _fatal_once, arguments, devices=devices)

        engines.pool_workers = workers


def _fatal_once(number, after):
    """What a worker does first."""
    plain, left = os.replace, count(1)

    def replace(*arguments, **named):
        last = next(left) == number
        if last and not after:
            _die_first()
        plain(*arguments, **named)
        if last and after:
            _die_first()

    os.replace = replace


def _die_first():
    with contextlib.suppress(FileExistsError), open("killed.txt", "x"):
        os.kill(os.getpid(), signal.SIGKILL)
