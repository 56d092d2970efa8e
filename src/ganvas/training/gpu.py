"""The devices to train on, as far as they are known without an import of TensorFlow."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ganvas.errors import GanvasError
from ganvas.quiet_tensorflow import may_have_gpu
from ganvas.training.tf_config import TF_CONFIG_EXAMPLE, Workers, read_tf_config

TOO_FEW_GPUS = (
    "train.distribute=mirrored needs two GPUs or more, but TensorFlow sees {}: set "
    "train.distribute=none."
)


def has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU, without importing it where there is none."""
    if not may_have_gpu():
        return False
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute with all bits of float32, and restore the setting at the end.

    By default TensorFlow rounds the factors of float32 products to the 10 bits of TF32 on GPUs that
    have it, which is enough for images, but not for small differences of them.
    """
    import tensorflow as tf

    setting = tf.config.experimental
    before = setting.tensor_float_32_execution_enabled()
    setting.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        setting.enable_tensor_float_32_execution(before)


def read_gpu_memory() -> int | None:
    """Return the bytes of memory of the smallest visible GPU; None without a GPU of NVIDIA.

    CUDA's driver is asked, because TensorFlow knows only how much of it has been used.
    """
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count, device, size = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
        if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
            return None
        sizes = []
        for number in range(count.value):
            if cuda.cuDeviceGet(ctypes.byref(device), number):
                return None
            if cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device):
                return None
            sizes.append(size.value)
    except (OSError, AttributeError):
        return None
    return min(sizes, default=None)


def check_devices(choice: str) -> None:
    """Refuse a `train.distribute` whose devices are certainly missing, before a run does any work.

    Raises:
        GanvasError: There is no GPU, or no cluster, or TF_CONFIG is not valid.
    """
    read_workers(choice)
    # Where TensorFlow is imported, it may have been given several logical CPUs.
    if choice == "mirrored" and "tensorflow" not in sys.modules and not may_have_gpu():
        raise GanvasError(TOO_FEW_GPUS.format(0))


def read_workers(choice: str) -> Workers | None:
    """Return the workers of TF_CONFIG; None where `train.distribute` asks for one machine.

    Raises:
        GanvasError: TF_CONFIG is missing or not valid.
    """
    workers = read_tf_config() if choice in ("auto", "multi_worker") else None
    if choice == "multi_worker" and workers is None:
        raise GanvasError(
            "train.distribute=multi_worker needs the environment variable TF_CONFIG on every "
            f"worker, such as {TF_CONFIG_EXAMPLE}."
        )
    return workers
