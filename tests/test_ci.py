"""Continuous integration reports skipped tests, and its workflow names what exists."""

import os
import re
import shutil
import subprocess

import pytest
import yaml
from kedro.framework.cli.utils import _split_params

from ganvas.base_params import check_params
from ganvas.project_params import ProjectParams
from projects import ROOT, load_config

INSTALLER = (ROOT / "tools/install.py").read_text()
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
STEPS = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize(
    "browser", [(), ("chromium",), ("chromedriver",), ("chromium", "chromedriver")]
)
def test_skipped_browser_tests_are_reported_at_the_end(tmp_path, browser):
    # The only programs on PATH; they do nothing.
    for name in ("make", *browser):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dirname").symlink_to(shutil.which("dirname"))
    command = [shutil.which("bash"), ROOT / ".ci/run"]
    result = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert ("BROWSER TESTS WERE NOT RUN" in result.stderr) == (len(browser) < 2)


def test_the_workflow_runs_on_pushes_and_pull_requests():
    # YAML reads the key `on` as true.
    assert set(WORKFLOW[True]) == {"push", "pull_request"}
    assert ".ci/run" in STEPS and os.access(ROOT / ".ci/run", os.X_OK)


def test_the_workflow_covers_every_supported_python():
    jobs = WORKFLOW["jobs"]
    images = [jobs["all"]["container"], *jobs["versions"]["strategy"]["matrix"]["python"]]
    found = [int(re.search(r"3\.(\d+)", image)[1]) for image in images]
    supported = re.search(r"OLDEST, NEWEST = \(3, (\d+)\), \(3, (\d+)\)", INSTALLER).groups()
    oldest, newest = map(int, supported)
    assert found == list(range(oldest, newest + 1))


def test_the_workflow_names_files_and_parameters_that_exist():
    targets = (ROOT / "Makefile").read_text()
    for step in STEPS:
        for target in re.findall(r"^make (\S+)", step):
            assert f"\n{target}: " in targets
        for folder in re.findall(r"\btests/\w+", step):
            assert (ROOT / folder).is_dir()
        for text in re.findall(r"--params=(\S+)", step):
            params = _split_params(None, None, text)
            check_params(ProjectParams, load_config("parameters", params=params))
