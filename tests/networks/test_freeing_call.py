"""Feature maps are freed during a call, and the output is that of Keras."""

import weakref

import keras
import numpy as np

from ganvas.networks.config import Stylegan2Params
from ganvas.networks.freeing_call import call_freeing
from ganvas.networks.stylegan2 import build_stylegan2


class Watch(keras.Layer):
    """Adds 1, and counts the outputs of such layers that still exist."""

    def __init__(self, outputs, counts):
        super().__init__()
        # Keras would track a list.
        self.record = lambda y: outputs.append(weakref.ref(y))
        self.count = lambda: counts.append(sum(output() is not None for output in outputs))

    def call(self, x, training=None):
        assert training is False
        y = x + 1
        self.record(y)
        self.count()
        return y

    def compute_output_shape(self, input_shape):
        return input_shape


def test_feature_maps_are_freed_after_their_last_use():
    outputs, counts = [], []
    inputs = keras.Input((3,))
    x = first = Watch(outputs, counts)(inputs)
    for _ in range(8):
        x = Watch(outputs, counts)(x)
    model = keras.Model(inputs, x + first)
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(call_freeing(model, [array]), 2 * array + 10)
    # The first one, which is used last, and input and output of the present layer.
    assert len(counts) == 9 and max(counts) <= 3


def test_the_output_is_that_of_keras_to_the_bit():
    params = Stylegan2Params(latent=6, style=6, channel_base=256, max_width=8)
    synthesis = build_stylegan2(params, (16, 16, 3)).generator.get_layer("synthesis")
    rng = np.random.default_rng(0)
    shapes = [(2, *x.shape[1:]) for x in synthesis.inputs]
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    np.testing.assert_array_equal(call_freeing(synthesis, arrays), synthesis(arrays))
