"""What continuous integration says of what it has not tested."""

import shutil
import subprocess

import pytest

from projects import ROOT


@pytest.mark.parametrize(
    "browser", [(), ("chromium",), ("chromedriver",), ("chromium", "chromedriver")]
)
def test_a_run_without_a_browser_says_so_at_its_end(tmp_path, browser):
    # All the programs that there are, and they do nothing.
    for name in ("make", *browser):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dirname").symlink_to(shutil.which("dirname"))
    command = [shutil.which("bash"), ROOT / ".ci/run"]
    result = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert ("BROWSER TESTS WERE NOT RUN" in result.stderr) == (len(browser) < 2)
