"""Install a locked set of packages and Ganvas itself into .venv, with visible progress.

    python3 tools/install.py requirements.lock

uv downloads and unpacks several packages at once, which takes a fifth of pip's time. Where it
fails, as it may behind a package mirror that only pip is configured for, pip installs the same set.
This file needs the standard library alone, since it runs before anything is installed.
"""

import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = Path(__file__).parents[1]
UV = "uv==0.13.9"


def main(lock: str, root: Path = ROOT) -> None:
    """Create .venv if it is missing, and install the set of a lock file and Ganvas into it.

    Args:
        lock: Name of the lock file.
        root: Folder of the clone.
    """
    check_python()
    started = time.monotonic()
    folder = root / ".venv"
    # A .venv without pip is one whose creation was interrupted.
    if not (folder / "bin/pip").exists():
        print("Creating .venv.", flush=True)
        create_venv(folder)
    count = len((root / lock).read_text().split())
    print(
        f"Installing {count} packages of {lock} into .venv: after the download, compiling takes "
        "a minute or two.",
        flush=True,
    )
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check"]
    if not install_by_uv(folder, pip, root / lock):
        print("uv could not install the packages; pip tries now, which takes longer.", flush=True)
        run_or_exit([*pip, "--requirement", str(root / lock)])
    # Without isolation pip builds with the setuptools of the lock instead of downloading another.
    run_or_exit([*pip, "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(root)])
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"Installed {lock} in {minutes} min {seconds:02} s.", flush=True)


def check_python() -> None:
    """Exit with a sentence if this Python is not supported."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        oldest, newest, this = (f"{v[0]}.{v[1]}" for v in (OLDEST, NEWEST, sys.version_info))
        sys.exit(
            f"Ganvas needs Python {oldest} to {newest}, and {sys.executable} is {this}: install "
            f"another one, or name it by `make run PYTHON=/path/to/python{oldest}`."
        )


def create_venv(folder: Path) -> None:
    """Create the virtual environment, or complete it."""
    try:
        venv.create(folder, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError:
        sys.exit(
            f"{sys.executable} can't create .venv, since its module ensurepip is missing: install "
            f"it (on Debian and Ubuntu the package python3.{sys.version_info.minor}-venv)."
        )


def install_by_uv(folder: Path, pip: list[str], lock: Path) -> bool:
    """Install a lock file by uv, and return whether that worked."""
    if subprocess.run([*pip, "--quiet", UV], capture_output=True).returncode:
        return False
    # Packages are compiled now, as by pip; where PYTHONDONTWRITEBYTECODE is set, each command would
    # compile its imports. They are linked from the cache, which must lie on the same disk, and is
    # not needed again.
    cache = folder / ".uv-cache"
    command = [
        *(str(folder / "bin/uv"), "pip", "install", "--python", str(folder / "bin/python")),
        *("--compile-bytecode", "--cache-dir", str(cache), "--requirement", str(lock)),
    ]
    try:
        return run_uv(command) == 0
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def run_uv(command: list[str]) -> int:
    """Run uv, which draws progress bars in a terminal; elsewhere, leave out its list at the end."""
    if sys.stderr.isatty():
        return subprocess.run(command).returncode
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if not line.startswith((" + ", " - ", " ~ ")):
                print(line, end="", flush=True)
    return process.returncode


def run_or_exit(command: list[str]) -> None:
    """Run pip, or exit with a sentence below its output."""
    if subprocess.run(command).returncode:
        sys.exit(
            "Installing failed; the lines above are pip's. The same command again continues: what "
            "is installed stays."
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
