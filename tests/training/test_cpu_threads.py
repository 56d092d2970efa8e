"""Numbers of TensorFlow threads, each in a process of its own, as they can be set only once."""

import os
import subprocess
import sys

import pytest

from ganvas.cpu_count import count_cpus

CODE = """
import tensorflow as tf
from ganvas.training.cpu_threads import run_branches_in_parallel
{first}
run_branches_in_parallel()
threading = tf.config.threading
print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())
"""


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "variables", "expected"),
    [
        ("", {}, f"{max(1, count_cpus() // 2)} 2"),
        ("tf.zeros(1)", {}, "0 0"),
        ("", {"TF_NUM_INTRAOP_THREADS": "3"}, "0 0"),
    ],
    ids=["at the start", "after the start", "set by the user"],
)
def test_two_branches_share_the_cores_unless_set_before(first, variables, expected):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_NUM")}
    output = subprocess.run(
        [sys.executable, "-c", CODE.format(first=first)],
        env=kept | variables | {"CUDA_VISIBLE_DEVICES": ""},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert output.strip() == expected
