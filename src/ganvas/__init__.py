"""Ganvas: a Kedro project that trains image GANs."""

import os

from ganvas.malloc import keep_freed_memory

__version__ = "0.1.0"

# Both are read when TensorFlow and Keras are first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# Has no effect once training has begun, so it is called before anything else is imported.
keep_freed_memory()
