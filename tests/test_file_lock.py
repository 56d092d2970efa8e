"""Locks between processes: each test holds one in a process of its own."""

import errno
import fcntl
import logging
import re
import subprocess
import sys
import threading

import pytest

from ganvas.errors import GanvasError
from ganvas.file_lock import (
    exclusive_lock,
    hold_lock,
    release_locks,
    shared_lock,
    waiting_lock,
)
from projects import ROOT

HOLD = """
import sys, time
from pathlib import Path
from ganvas.file_lock import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "packs it", "choose another"):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of `tmp_path / "run"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        env={"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()


def lock(tmp_path):
    return exclusive_lock(tmp_path / "run", "packs it", "choose another")


def test_the_second_is_told_who_holds_the_lock_until_that_process_is_gone(tmp_path, holder):
    expected = rf"^Another run \(process {holder.pid} on \S+\) packs it: wait for it, or choose an"
    for _ in range(2):
        with pytest.raises(GanvasError, match=expected), lock(tmp_path):
            pass
    holder.kill()
    holder.wait()
    # Its lock file is still there.
    with lock(tmp_path):
        pass
    with lock(tmp_path):
        assert [file.name for file in tmp_path.iterdir()] == [".run.lock"]


def test_another_process_is_waited_for(tmp_path, holder, caplog):
    threading.Timer(0.7, holder.kill).start()
    with caplog.at_level(logging.INFO), waiting_lock(tmp_path / "run", "packs it"):
        assert holder.wait() < 0
    (line,) = caplog.messages
    assert re.fullmatch(
        rf"Waiting for another run \(process {holder.pid} on \S+\), which packs it\.", line
    )


def test_a_shared_lock_excludes_exclusive_ones_alone(tmp_path):
    def share():
        return shared_lock(tmp_path / "run", "packs it", "choose another")

    with share(), share(), pytest.raises(GanvasError), lock(tmp_path):
        pass
    with (
        lock(tmp_path),
        pytest.raises(GanvasError, match=r"^Another run .* packs it: wait"),
        share(),
    ):
        pass


def test_a_lock_that_is_held_stays_until_all_are_released(tmp_path):
    for _ in range(2):
        hold_lock(tmp_path / "run", "packs it", "choose another")
    with pytest.raises(GanvasError), lock(tmp_path):
        pass
    release_locks()
    with lock(tmp_path):
        pass


def test_a_lock_is_released_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path):
        1 / 0  # noqa: B018 - it fails
    with lock(tmp_path):
        pass


def test_without_locks_of_the_file_system_a_warning_is_logged(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    entered = []
    with lock(tmp_path):
        entered.append(True)
    assert entered and "run can't be locked against other runs (" in caplog.text
