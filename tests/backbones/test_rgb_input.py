import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.backbones.rgb_input import to_rgb


@pytest.fixture(scope="module")
def transparent() -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((6, 4, 4))
    return keras.Model(images, to_rgb(images))


def draw_images(alpha: float, count: int = 200) -> np.ndarray:
    images = np.random.default_rng(0).uniform(-1, 1, (count, 6, 4, 4)).astype(np.float32)
    images[..., 3] = alpha
    return images


def test_rgb_is_unchanged_and_gray_repeated():
    color, gray = keras.Input((6, 4, 3)), keras.Input((6, 4, 1))
    assert to_rgb(color) is color
    images = draw_images(1.0)[..., :1]
    repeated = np.asarray(keras.Model(gray, to_rgb(gray))(images))
    np.testing.assert_array_equal(repeated, np.repeat(images, 3, axis=-1))


def test_opaque_images_keep_their_color_and_others_are_composited_on_mid_gray(transparent):
    images = draw_images(1.0)
    for training in (False, True):
        np.testing.assert_allclose(
            transparent(images, training=training), images[..., :3], atol=1e-6
        )
    np.testing.assert_array_equal(transparent(draw_images(-1.0)), 0)
    half = draw_images(0.0)
    np.testing.assert_allclose(transparent(half), half[..., :3] / 2, atol=1e-6)


def test_each_image_has_a_random_background_in_training(transparent):
    images = draw_images(-1.0)
    first, second = (np.asarray(transparent(images, training=True)) for _ in range(2))
    # One color an image, of the whole range, and another one each time.
    assert np.ptp(first, axis=(1, 2)).max() == 0
    colors = first[:, 0, 0]
    assert np.abs(first).max() == 1 and len(np.unique(colors, axis=0)) > 190
    assert (np.abs(colors.mean(axis=0)) < 0.2).all() and (colors.std(axis=0) > 0.6).all()
    assert (np.abs(first - second).max(axis=(1, 2, 3)) > 0).mean() > 0.95


def test_the_gradient_reaches_alpha(transparent):
    images = tf.constant(draw_images(0.5))
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(transparent(images, training=True) ** 2)
    gradient = np.asarray(tape.gradient(total, images))
    assert (np.abs(gradient).mean(axis=(0, 1, 2)) > 0.05).all()


def test_a_saved_model_loads_in_safe_mode(transparent, tmp_path):
    transparent.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    images = draw_images(0.3)
    np.testing.assert_array_equal(loaded(images), transparent(images))
    assert np.abs(loaded(images, training=True) - transparent(images)).max() > 0.1
