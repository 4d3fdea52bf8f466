"""A numbered script in a process that ends when the one that started it does.

``python -m degu_tf.cli.reproduce.supervised SCRIPT ARGUMENTS``, with a pipe from the parent as
standard input and a process group of its own: the pipe closes when the parent ends, however that
came about. The group goes with it, so that no orphan and no worker of one writes on beside the next
attempt.
"""

import os
import runpy
import signal
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Run the script that the arguments name, as if it were called by itself."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
