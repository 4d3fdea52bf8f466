"""Several devices learn what one does; too few, and batches that do not divide, are refused."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from cases import one_in

from degu_tf.training.parallel import devices
from degu_tf.training.run import Run
from degu_tf.utils.errors import InputError

SCRIPTS = Path(__file__).parent


def test_more_devices_than_there_are():
    tf.config.list_logical_devices()  # begins, so that the processor stays whole
    with pytest.raises(InputError, match=r"as there are, 1: .*CPU:0.*Received: devices=2"):
        devices.strategy_of(2)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "2"])
def test_numbers_of_devices(wrong):
    with pytest.raises(InputError, match="devices must be a whole number from 1"):
        Run(devices=wrong)


def test_one_device_needs_no_strategy():
    assert devices.strategy_of(1) is None
    assert devices.n_replicas() == 1


def test_batches_that_do_not_divide(monkeypatch):
    monkeypatch.setattr(devices, "n_replicas", lambda: 2)
    devices.check_batches(103, 20)
    with pytest.raises(
        InputError, match=r"21 would do\. Received: batch_size=20, 101 training sequences"
    ):
        devices.check_batches(101, 20)
    assert devices.evaluation_batch_size(513, 512) == 511
    assert devices.evaluation_batch_size(512, 512) == 512
    with pytest.raises(InputError, match="a validation sequence for each of 2 devices"):
        devices.evaluation_batch_size(1, 512)
    # TensorFlow gives 3, 3, 3 and nothing of a batch of nine
    monkeypatch.setattr(devices, "n_replicas", lambda: 4)
    with pytest.raises(InputError, match="10 would do"):
        devices.check_batches(90, 9)


SOME = (
    "batch normalisation",
    "a last batch of three",
    "fine-tuning",
    "missing values and weights",
    "in blocks",
    "labels on the fly",
)
"""Cases of the script, one of each kind; without names it runs all of them."""


@pytest.mark.slow
@pytest.mark.parametrize(("names", "n"), one_in(2, [(SOME, len(SOME)), ((), 15)]))
def test_two_devices_learn_what_one_does(names, n):
    """To the rounding of some twenty steps, which sum gradients in another order."""
    ran = subprocess.run(
        [sys.executable, SCRIPTS / "devices_script.py", *names], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    found = dict(json.loads(line) for line in ran.stdout.splitlines())
    assert len(found) == n
    for name, each in found.items():
        assert each["loss"] < 1e-5, name
        assert each["weights"] < 1e-5, name


def free_ports(number):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.mark.slow
def test_two_workers_learn_what_one_process_does(tmp_path):
    command = [sys.executable, SCRIPTS / "worker_script.py"]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    workers = [f"localhost:{port}" for port in free_ports(2)]
    started = [subprocess.Popen(command, **piped)]
    for index, folder in enumerate((tmp_path / "run", None)):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
        place = [] if folder is None else [folder]
        started.append(subprocess.Popen([*command, *place], env=environment, **piped))
    found = []
    for process in started:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err[-4000:]
        found.append(json.loads(out.splitlines()[-1]))
    alone, *both = found
    assert both[0] == both[1]
    np.testing.assert_allclose(both[0]["losses"], alone["losses"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(both[0]["prediction"], alone["prediction"], rtol=0, atol=1e-5)
    assert (tmp_path / "run" / "manifest.json").is_file()
