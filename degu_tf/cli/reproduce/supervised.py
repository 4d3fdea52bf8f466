"""A numbered script in a process that ends when the one that started it does.

``python -m degu_tf.cli.reproduce.supervised SCRIPT ARGUMENTS``, with a pipe from the parent as
standard input: it closes when the parent ends, however that came about, and no orphan writes on
beside the next attempt.
"""

import os
import runpy
import sys
import threading

INTERRUPTED = 130


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(INTERRUPTED)


def main() -> None:
    """Run the script that the arguments name, as if it were called by itself."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    del sys.argv[0]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


if __name__ == "__main__":
    main()
