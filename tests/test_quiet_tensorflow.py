import os
import subprocess
import sys

import pytest

from projects import ROOT

# A TensorFlow that writes what the real one writes, to the file descriptor as C++ does.
FAKE = """
import os
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called\\n")
os.write(2, b"I0000 00:00:1795682293.365234   28289 port.cc:153] oneDNN is on.\\n")
os.write(2, b"W0000 00:00:1795682293.365234   28289 a.cc:1] a warning\\n")
os.write(2, b"E0000 00:00:1795682293.365541   28289 cuda.cc:52] failed call to cuInit\\n")
os.write(2, b"E0000 00:00:1795682293.365541   28289 cuda_fft.cc:4] Unable to register cuFFT\\n")
"""


def import_tensorflow(folder, code: str, after: str = "") -> subprocess.CompletedProcess:
    """Import a fake TensorFlow in a process that has imported Ganvas first."""
    (folder / "tensorflow").mkdir()
    (folder / "tensorflow" / "__init__.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-c", f"import ganvas\nimport tensorflow\n{after}"],
        env=os.environ | {"PYTHONPATH": f"{folder}:{ROOT / 'src'}"},
        capture_output=True,
        text=True,
    )


def test_an_import_writes_errors_alone(tmp_path):
    result = import_tensorflow(tmp_path, FAKE)
    assert result.returncode == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("E0000") and line.endswith("failed call to cuInit")


def test_later_lines_are_written(tmp_path):
    later = "import os, sys; os.write(2, b'later\\n'); print('last', file=sys.stderr)"
    result = import_tensorflow(tmp_path, FAKE, later)
    assert result.stderr.splitlines()[1:] == ["later", "last"]


def test_a_failing_import_writes_everything_and_its_traceback(tmp_path):
    result = import_tensorflow(tmp_path, FAKE + "raise ImportError('no libcudart.so')")
    assert result.returncode == 1
    assert "oneDNN is on." in result.stderr and "a warning" in result.stderr
    assert result.stderr.rstrip().endswith("ImportError: no libcudart.so")


@pytest.mark.parametrize(("given", "expected"), [([], "true"), (["false"], "false")])
def test_tensorflow_takes_a_gpus_memory_as_it_needs_it(tmp_path, monkeypatch, given, expected):
    name = "TF_FORCE_GPU_ALLOW_GROWTH"
    monkeypatch.delenv(name, raising=False)
    for value in given:
        monkeypatch.setenv(name, value)
    result = import_tensorflow(
        tmp_path, f"import os; memory = os.environ['{name}']", "print(tensorflow.memory)"
    )
    assert result.stdout == f"{expected}\n"


def test_without_a_standard_error_the_import_works(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("name = 'fake'")
    code = "import os; os.close(2); import ganvas, tensorflow; print(tensorflow.name)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert result.stdout == "fake\n"


@pytest.mark.slow
def test_the_installed_tensorflow_is_quiet():
    code = "import ganvas, keras, tensorflow as tf; print(tf.__spec__.loader.name, tf.constant(1))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith("tensorflow tf.Tensor(1,")
    assert result.stderr == ""
