"""Continuous integration reports the tests that it has skipped."""

import shutil
import subprocess

import pytest

from projects import ROOT


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
