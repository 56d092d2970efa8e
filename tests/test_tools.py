"""The locked sets of packages agree with pyproject.toml, and installing them shows its progress."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from projects import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import install
import lock

RUN = (ROOT / "requirements.lock").read_text().splitlines()
DEV = (ROOT / "requirements-dev.lock").read_text().splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Stands for .venv/bin/python, which is called with `-m pip install …`, and for .venv/bin/uv.
PROGRAM = """#!/bin/sh
echo "$(basename $0) $@" >> {clone}/calls
echo "Resolved 2 packages" >&2
echo " + keras==3.15.1" >&2
{end}
"""


def test_the_run_set_is_what_running_needs():
    names = {lock.normalize(line.partition("==")[0]) for line in RUN}
    assert names == lock.run_names(), "run `make lock`"
    # Nothing of tests, lint and documentation, nor of formats that are exported on request.
    assert not {"pytest", "mypy", "ruff", "mkdocs", "selenium", "onnxruntime", "moto"} & names
    assert {"tensorflow", "kedro-viz", "mtcnn", "kagglehub"} <= names


def test_the_dev_set_has_the_run_set_in_the_same_versions():
    assert set(RUN) < set(DEV)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in DEV)


@pytest.mark.parametrize("lines", [RUN, DEV], ids=["run", "dev"])
def test_the_pins_are_within_the_bounds_of_the_project(lines):
    pins = dict(line.split("==") for line in lines)
    pins = {lock.normalize(name): version for name, version in pins.items()}
    extras = PROJECT["optional-dependencies"]
    stated = [*PROJECT["dependencies"], *(line for lines in extras.values() for line in lines)]
    checked = 0
    for requirement in map(Requirement, stated):
        version = pins.get(lock.normalize(requirement.name))
        if version is not None:
            assert requirement.specifier.contains(version), requirement
            checked += 1
    assert checked >= len(PROJECT["dependencies"])


@pytest.fixture
def clone(tmp_path) -> Path:
    """A folder with lock files whose .venv has a pip and a uv that install nothing."""
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/install.py", tmp_path / "tools")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/pip").touch()
    for name in ("python", "uv"):
        write_program(tmp_path, name)
    return tmp_path


def write_program(clone: Path, name: str, end: str = "") -> None:
    program = clone / ".venv/bin" / name
    program.write_text(PROGRAM.format(clone=clone, end=end))
    program.chmod(0o755)


def make(clone: Path, *targets: str) -> subprocess.CompletedProcess[str]:
    command = ["make", *targets, f"PYTHON={sys.executable}"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)


def installed(clone: Path) -> list[tuple[str, str]]:
    """The programs that installed lock files, with the file's name, in order."""
    calls = (clone / "calls").read_text()
    found = re.findall(r"^(uv|python) .*--requirement (\S+)", calls, re.MULTILINE)
    return [(program, Path(name).name) for program, name in found]


def test_running_installs_the_run_set_and_developing_the_rest(clone):
    result = make(clone, "setup")
    assert result.returncode == 0, result.stderr
    assert installed(clone) == [("uv", "requirements.lock")]
    assert "--compile-bytecode" in (clone / "calls").read_text()
    assert "Resolved 2 packages\n" in result.stdout and " + keras" not in result.stdout
    assert re.search(r"^Installed requirements.lock in \d+ min \d\d s\.$", result.stdout, re.M)
    assert f"--editable {clone}" in (clone / "calls").read_text()
    assert make(clone, "setup").returncode == 0
    assert len(installed(clone)) == 1
    assert make(clone, "dev").returncode == 0
    assert installed(clone)[1:] == [("uv", "requirements-dev.lock")]
    # What is developed with runs as well.
    assert make(clone, "setup", "dev").returncode == 0
    assert len(installed(clone)) == 2


@pytest.mark.parametrize(
    ("target", "stamp"),
    [(target, ".venv/.installed") for target in ("run", "gallery", "viz", "bench")]
    + [(target, ".venv/.installed-dev") for target in ("test", "test-fast", "lint", "site")],
)
def test_each_target_waits_for_its_own_set(target, stamp):
    result = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True
    )
    (touched,) = [line for line in result.stdout.splitlines() if line.startswith("touch ")]
    assert touched.split()[-1] == stamp


def test_pip_installs_where_uv_fails(clone):
    write_program(clone, "uv", end="exit 2")
    result = make(clone, "setup")
    assert result.returncode == 0, result.stderr
    assert installed(clone) == [("uv", "requirements.lock"), ("python", "requirements.lock")]
    assert "uv could not install the packages" in result.stdout
    assert not (clone / ".venv/.uv-cache").exists()


def test_a_failed_installation_ends_in_a_sentence(clone):
    write_program(clone, "python", end="echo 'ERROR: No space left' >&2; exit 1")
    result = make(clone, "setup")
    assert result.returncode != 0 and not (clone / ".venv/.installed").exists()
    assert "ERROR: No space left" in result.stderr
    assert "Installing failed; the lines above are pip's." in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("version", "allowed"), [((3, 10), 0), ((3, 11), 1), ((3, 13), 1), ((3, 14), 0)]
)
def test_other_versions_of_python_are_refused_in_a_sentence(monkeypatch, version, allowed):
    monkeypatch.setattr(sys, "version_info", (*version, 1))
    if allowed:
        install.check_python()
        return
    with pytest.raises(SystemExit) as error:
        install.check_python()
    assert re.fullmatch(r"Ganvas needs Python 3.11 to 3.13, and .*\.", str(error.value))
    assert f"is {version[0]}.{version[1]}" in str(error.value)
