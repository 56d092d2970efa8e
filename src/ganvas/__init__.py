"""Ganvas: a Kedro project that trains image GANs."""

import os

from ganvas.malloc import keep_freed_memory
from ganvas.quiet_tensorflow import import_tensorflow_quietly, may_have_gpu

__version__ = "0.1.0"

# All are read when TensorFlow and Keras are first imported, or start a GPU. TensorFlow's errors are
# those of a GPU that can't be used, and are no news where there is none.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1" if may_have_gpu() else "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Otherwise the first process takes all memory of a GPU, whatever it needs, and the next one, such
# as the gallery during training, finds none.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

import_tensorflow_quietly()

# Has no effect once training has begun, so it is called before anything else is imported.
keep_freed_memory()
