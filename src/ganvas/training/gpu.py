"""Whether there is a GPU to train on."""

from ganvas.quiet_tensorflow import may_have_gpu


def has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU, without importing it where there is none."""
    if not may_have_gpu():
        return False
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))
