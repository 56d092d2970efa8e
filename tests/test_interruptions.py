"""Runs that are interrupted at random moments, by `benchmarks/interruptions.py`.

GANVAS_INTERRUPTIONS=10 tries ten moments of training and of ingestion with every fault, which takes
a quarter of an hour; by default there is one moment of training with SIGTERM.
"""

import os
import subprocess
import sys

import pytest

from projects import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.exhaustive
def test_an_interrupted_run_loses_nothing_and_ends_with_the_same_bits():
    moments = os.environ.get("GANVAS_INTERRUPTIONS")
    chosen = ["--moments", moments] if moments else ["--moments=1", "--job=training"]
    faults = [] if moments else ["--fault=SIGTERM"]
    result = subprocess.run(
        [sys.executable, ROOT / "benchmarks/interruptions.py", *chosen, *faults],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == (8 if moments else 1) and all("compared" in line for line in lines)
