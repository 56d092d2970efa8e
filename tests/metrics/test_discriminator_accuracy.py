import keras
import numpy as np
import pytest

from ganvas.metrics.discriminator_accuracy import compute_logits, discriminator_accuracy


def test_logits_do_not_depend_on_the_batch(networks, images):
    _, discriminator = networks
    many = np.concatenate([images] * 4)
    expected = discriminator(many.astype(np.float32) / 127.5 - 1, training=False)
    np.testing.assert_allclose(
        compute_logits(discriminator, many), np.asarray(expected)[:, 0], rtol=1e-4
    )


def test_accuracy_counts_logits_on_the_correct_side():
    logits = np.array([-2.0, -1.0, 0.5, 3.0, 4.0])
    assert discriminator_accuracy(logits, real=True) == pytest.approx(0.6)
    assert discriminator_accuracy(logits, real=False) == pytest.approx(0.4)
    assert discriminator_accuracy(logits, real=True, threshold=0.5) == pytest.approx(0.4)
    assert discriminator_accuracy(logits, real=False, threshold=3.5) == pytest.approx(0.8)


def test_logits_and_accuracy_of_a_discriminator_of_brightness(images):
    inputs = keras.Input((32, 32, 3))
    outputs = keras.layers.Flatten()(keras.layers.GlobalAveragePooling2D()(inputs))
    outputs = keras.layers.Dense(1, kernel_initializer="ones")(outputs)
    logits = compute_logits(keras.Model(inputs, outputs), images)
    bright = images.reshape(20, -1).astype(float).mean(1) > 127.5
    assert (
        discriminator_accuracy(logits[bright], real=True) == 1
        and discriminator_accuracy(logits[~bright], real=False) == 1
    )
