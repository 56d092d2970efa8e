"""Signals to commands in processes of their own, and what of it is quick to test within one."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ganvas.stop_signals import MESSAGE, SIGNALS, Interrupted, interrupt, on_signal
from projects import ROOT

# A command that waits, as it would for a step or a download.
WAIT = """
import time
from ganvas.command_errors import in_one_sentence

@in_one_sentence
def command():
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("ended", flush=True)
        if {slow_end}:
            time.sleep(60)

command()
"""
# A command that is still importing Kedro.
IMPORT = """
import sys
import time

class SlowKedro:
    def find_spec(self, name, path=None, target=None):
        if name == "kedro":
            print("begun", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, SlowKedro())
import ganvas.__main__
"""


def start(script: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_ends_in_one_line_with_the_status_of_the_signal(number, status):
    process = start(WAIT.format(slow_end=False))
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert output == "ended\n" and errors.splitlines()[-1] == MESSAGE
    assert "Traceback" not in errors and process.returncode == status


@pytest.mark.slow
def test_a_second_signal_ends_a_command_at_once():
    process = start(WAIT.format(slow_end=True))
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "ended\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT and "Traceback" not in errors


@pytest.mark.slow
def test_ctrl_c_while_libraries_are_imported_is_one_line():
    process = start(IMPORT)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors == f"{MESSAGE}\n" and process.returncode == -signal.SIGINT


def test_handlers_are_restored_and_ignored_signals_stay_ignored():
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Interrupted), on_signal(interrupt):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.exhaustive
def test_a_signal_during_a_destructor_is_not_lost():
    class Temporary:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted), on_signal(interrupt):
        Temporary()
        time.sleep(10)
        pytest.fail("the signal was lost")


def test_an_exception_that_a_library_raises_for_a_signal_is_the_signal():
    # As compiled modules do when their import is interrupted.
    def load():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ImportError("failed to import") from None

    with pytest.raises(Interrupted) as caught, on_signal(interrupt):
        load()
    assert caught.value.number == signal.SIGTERM
    with pytest.raises(ImportError), on_signal(interrupt):
        raise ImportError("no signal came")


def test_other_threads_than_the_main_one_leave_handlers_alone():
    handlers = []

    def work():
        with on_signal(interrupt):
            handlers.extend(signal.getsignal(number) for number in SIGNALS)

    before = [signal.getsignal(number) for number in SIGNALS]
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == before
