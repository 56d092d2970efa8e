"""What is known of the devices without TensorFlow, in a process of its own."""

import json
import subprocess
import sys

import pytest

from ganvas.training import gpu

CODE = """
import sys
from ganvas.errors import GanvasError
from ganvas.training import gpu
gpu.may_have_gpu = lambda: False
try:
    gpu.check_devices(sys.argv[1])
except GanvasError as error:
    print(error)
assert "tensorflow" not in sys.modules
"""
ONE_WORKER = {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}


@pytest.mark.parametrize(
    ("choice", "config", "message"),
    [
        (
            "mirrored",
            "",
            "needs two GPUs or more, but TensorFlow sees 0: set train.distribute=none.",
        ),
        ("multi_worker", "", "needs the environment variable TF_CONFIG"),
        ("auto", "{", "TF_CONFIG is not valid"),
        ("multi_worker", json.dumps(ONE_WORKER), ""),
        ("none", "{", ""),
        ("auto", "", ""),
    ],
)
def test_missing_devices_are_refused_before_tensorflow_is_imported(choice, config, message):
    environment = {"TF_CONFIG": config, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE, choice],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert message in done.stdout and done.stdout.count("\n") == bool(message)


def test_full_float32_is_restored_after_an_error():
    import tensorflow as tf

    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    before = enabled()
    with pytest.raises(ValueError, match="wrong"), gpu.full_float32():
        assert before and not enabled()
        raise ValueError("wrong")
    assert enabled() == before
