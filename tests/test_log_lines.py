import logging
import os
import subprocess
import sys

import pytest
import yaml
from kedro.logging import RichHandler

from ganvas.log_lines import DATE_FORMAT, FORMAT, LineHandler, use_log_lines
from projects import ROOT, make_project

LONG = "a line that is longer than the 80 columns of a terminal, " * 4


@pytest.fixture
def root(monkeypatch):
    """The root logger, whose handlers and level are restored."""
    root, kedro = logging.getLogger(), logging.getLogger("kedro")
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.INFO)
    level = kedro.level
    yield root
    kedro.setLevel(level)
    logging.captureWarnings(False)


def test_the_format_of_a_packaged_project_is_that_of_conf():
    conf = yaml.safe_load((ROOT / "conf" / "logging.yml").read_text())
    assert conf["formatters"]["lines"] == {"format": FORMAT, "datefmt": DATE_FORMAT}
    assert conf["loggers"]["kedro"]["level"] == "WARNING"


def test_lines_are_not_wrapped_and_have_an_iso_date(root, capsys):
    root.addHandler(RichHandler())
    use_log_lines()
    logging.getLogger("ganvas.test").warning(LONG)
    assert capsys.readouterr().err.splitlines()[0][20:] == f"WARNING {LONG}"
    # pytest adds handlers of its own.
    assert not any(isinstance(handler, RichHandler) for handler in root.handlers)
    assert sum(isinstance(handler, LineHandler) for handler in root.handlers) == 1
    assert not logging.getLogger("kedro").isEnabledFor(logging.INFO)


def test_passwords_are_hidden_from_every_handler(root, capsys, caplog):
    root.addHandler(RichHandler())
    root.addHandler(caplog.handler)
    use_log_lines()
    url = "s3://ann:hunter2@bucket"
    try:
        raise OSError(f"{url} is not there")
    except OSError:
        logging.getLogger("ganvas.test").exception("%s is unchanged: %d files.", url, 3)
    written = capsys.readouterr().err
    assert "s3://***@bucket is unchanged: 3 files." in written and "OSError" in written
    assert "hunter2" not in written
    assert caplog.messages == ["s3://***@bucket is unchanged: 3 files."]


def test_in_a_terminal_lines_are_not_wrapped_either(root, capsys, monkeypatch):
    monkeypatch.setattr("ganvas.log_lines.in_terminal", lambda: True)
    root.addHandler(RichHandler())
    use_log_lines()
    logging.getLogger("ganvas.test").warning("[bold]" + LONG)
    assert capsys.readouterr().out.splitlines()[0][20:] == f"WARNING [bold]{LONG}"


def test_a_format_of_the_users_and_other_handlers_stay(root, capsys, tmp_path):
    terminal, file = logging.StreamHandler(), logging.FileHandler(tmp_path / "log")
    terminal.setFormatter(logging.Formatter("%(message)s!"))
    root.addHandler(terminal)
    root.addHandler(file)
    logging.getLogger("kedro").setLevel(logging.INFO)
    use_log_lines()
    use_log_lines()
    logging.getLogger("kedro.io").info("Loading data")
    assert capsys.readouterr().err == "Loading data!\n"
    assert (tmp_path / "log").read_text() == "Loading data\n"


def test_kedros_advice_after_a_failure_is_left_out(root, capsys):
    root.addHandler(logging.StreamHandler())
    use_log_lines()
    runner = logging.getLogger("kedro.runner.sequential_runner")
    runner.warning("No nodes ran. Repeat the previous command to attempt a new run.")
    runner.warning("There are 3 nodes that have not run.\nYou can resume")
    runner.warning("another warning")
    assert capsys.readouterr().err.splitlines()[0].endswith("another warning")


@pytest.mark.slow
def test_an_error_of_a_run_is_its_only_line(tmp_path):
    command = [sys.executable, "-m", "kedro", "run", "--pipelines=evaluate"]
    result = subprocess.run(
        command,
        cwd=make_project(tmp_path),
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    (line,) = (result.stdout + result.stderr).splitlines()
    assert line.startswith("Error: There is no class_list yet")
