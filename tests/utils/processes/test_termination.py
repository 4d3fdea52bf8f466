"""A command ends as it was told to, whatever error a library made of the signal."""

import os
import signal

import pytest

from degu_tf.utils.processes.termination import TERMINATED, ends_as_told

ENDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: SystemExit}


@pytest.mark.parametrize("how", ENDS)
def test_an_error_that_follows_a_signal_is_that_signal(how):
    handlers = [signal.getsignal(each) for each in ENDS]
    with pytest.raises(ENDS[how]) as caught, ends_as_told():
        _of_a_library(how)
    assert str(caught.value.__cause__) == "of a library"
    assert how == signal.SIGINT or caught.value.code == TERMINATED
    assert handlers == [signal.getsignal(each) for each in ENDS]


def test_other_errors_are_left_as_they_are():
    with pytest.raises(ValueError, match="of a library"), ends_as_told():
        raise ValueError("of a library")
    with pytest.raises(KeyboardInterrupt), ends_as_told():
        os.kill(os.getpid(), signal.SIGINT)


def _of_a_library(how):
    try:
        os.kill(os.getpid(), how)
    except BaseException:
        raise ValueError("of a library") from None
