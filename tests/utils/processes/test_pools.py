"""Pools of processes: quiet, prepared, and honest where one dies."""

import os
import subprocess

import pytest

from degu_tf.utils.errors import InputError
from degu_tf.utils.processes.pools import pool, workers


def test_one_worker_is_this_process():
    with workers(1) as executor:
        assert executor is None


@pytest.mark.slow
def test_each_process_is_prepared_by_the_function_that_is_given():
    with pool(2, "before it was done", os.putenv, ("DEGU_TEST", "1")) as processes:
        command = ["sh", "-c", "echo $DEGU_TEST"]
        assert processes.submit(subprocess.check_output, command).result() == b"1\n"


@pytest.mark.slow
def test_a_process_that_dies_is_named_with_what_to_do():
    expected = r"died before its test, perhaps for lack of memory.*fewer --workers.*--workers 1$"
    with pytest.raises(InputError, match=expected), pool(1, "before its test") as processes:
        processes.submit(os._exit, 1).result()
