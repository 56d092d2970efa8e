"""Run a command of the project in a process that ends when the sweep that has started it ends.

python -m ganvas.sweeps.child run --params=train.seed=1
"""

import ctypes
import os
import runpy
import signal
import sys
from pathlib import Path

from kedro.utils import find_kedro_project

# Of Linux's prctl.
PR_SET_PDEATHSIG = 1
# Environment variable with the process that has started this one.
PARENT = "GANVAS_SWEEP_PROCESS"


def main() -> None:
    """Run `kedro`, or in a folder without a project `ganvas`, with the process's arguments."""
    _end_with_parent()
    program = "kedro" if find_kedro_project(Path.cwd()) else "ganvas"
    runpy.run_module(program, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    """Get SIGTERM, upon which training saves, once the process that has started this one is gone.

    Elsewhere than on Linux a sweep that is killed leaves its run, which goes on to its end.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have ended before.
    if os.environ.pop(PARENT, str(os.getppid())) != str(os.getppid()):
        sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
