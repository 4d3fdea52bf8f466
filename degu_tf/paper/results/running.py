"""`degu reproduce` as notebooks run it: its progress is shown, the scripts' output is not."""

import re
import subprocess
import sys
from pathlib import Path

_PROGRESS = re.compile(r"\d+ of \d+: |[\w ]+: \d+ of \d+, [\d:]+ left")
_LAST = 30


def reproduce(*names: str, preset: str, out: Path) -> None:
    """Run numbered scripts in a process of their own; what is finished is not run again.

    Parameters
    ----------
    *names
        Figures, as `degu reproduce` takes them: ``"fig3"``, ``"s1*"``.
    preset
        ``"smoke"``, ``"quick"`` or ``"paper"``.
    out
        Folder of the results.

    Raises
    ------
    RuntimeError
        If a script fails; the message ends with its last lines.
    """
    command = [sys.executable, "-m", "degu_tf", "reproduce", *names]
    process = subprocess.Popen(
        [*command, "--preset", preset, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    lines = []
    with process.stdout:
        try:
            for line in process.stdout:
                lines.append(line)
                if _PROGRESS.match(line):
                    print(line, end="", flush=True)
        except BaseException:  # the cell was interrupted
            process.terminate()
            raise
        finally:
            process.wait()
    if process.returncode:
        raise RuntimeError(f"degu reproduce {' '.join(names)} failed:\n{''.join(lines[-_LAST:])}")
