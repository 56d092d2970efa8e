"""Ganvas: a Kedro project that teaches GANs to paint."""

import os

from ganvas.malloc import keep_freed_memory

__version__ = "0.1.0"

# TensorFlow prints pages of start-up notes unless told before its first import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# At the very start: called when training begins, it has been seen to change nothing.
keep_freed_memory()
