import keras
import numpy as np
import pytest
from keras import layers

from ganvas.networks.self_modulated import build_self_modulated

LATENT, CLASSES = 6, 3


def build(side: int = 32, classes: int = 0, seed: int = 0, kernel: int = 4) -> keras.Model:
    keras.utils.set_random_seed(seed)
    widths = [16, 12, 8, 6, 4][: side.bit_length() - 3]
    return build_self_modulated((side, side, 3), LATENT, widths, kernel, classes)


def draw_inputs(classes: int, count: int = 2) -> list[np.ndarray]:
    latents = np.random.default_rng(0).standard_normal((count, LATENT), dtype=np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES]
    return [latents, labels] if classes else latents


@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("classes", [0, CLASSES])
def test_feature_maps_double_up_to_images_in_the_range(side, classes):
    generator = build(side, classes)
    # Much larger weights, so that without a limit values would lie far outside.
    generator.set_weights([10 * weight for weight in generator.get_weights()])
    images = np.asarray(generator(draw_inputs(classes), training=True))
    assert images.shape == (2, side, side, 3) and images.dtype == np.float32
    assert 0.5 < np.abs(images).max() <= 1
    norms = [x for x in generator.layers if isinstance(x, layers.BatchNormalization)]
    sides = [norm.output.shape[1:] for norm in norms]
    widths = [16, 12, 8, 6, 4][: len(norms)]
    assert sides == [(4 << n, 4 << n, width) for n, width in enumerate(widths)]
    assert sides[-1][0] == side // 2


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_images_have_their_size_with_any_kernel(kernel):
    assert build(32, kernel=kernel)(draw_inputs(0)).shape == (2, 32, 32, 3)


def find_modulations(generator: keras.Model) -> list[keras.Model]:
    """Return, for each batch norm, a model of its output, and of the product and the sum after."""
    chosen = (layers.BatchNormalization, layers.Multiply, layers.Add)
    found = [layer for layer in generator.layers if isinstance(layer, chosen)]
    assert [type(layer) for layer in found] == list(chosen) * (len(found) // 3)
    groups = [found[start : start + 3] for start in range(0, len(found), 3)]
    return [keras.Model(generator.inputs, [x.output for x in group]) for group in groups]


@pytest.mark.parametrize("changed", ["latent", "classes"])
def test_latent_and_class_set_scale_and_offset_of_every_batch_norm(changed):
    generator = build(32, CLASSES)
    latents, labels = draw_inputs(CLASSES)
    # Two images that differ in one of both inputs.
    latents, labels = (
        (latents, labels[:1] * [[1], [1]])
        if changed == "latent"
        else (
            latents[:1] * np.ones((2, 1), np.float32),
            labels,
        )
    )
    modulations = find_modulations(generator)
    assert len(modulations) == 3
    for model in modulations:
        normalized, scaled, shifted = map(np.asarray, model([latents, labels]))
        # One factor and one summand per image and channel.
        numerator = (scaled * normalized).sum(axis=(1, 2))
        scale = numerator / np.maximum((normalized**2).sum(axis=(1, 2)), 1e-20)
        np.testing.assert_allclose(scaled, scale[:, None, None] * normalized, atol=1e-6)
        offset = (shifted - scaled).mean(axis=(1, 2))
        difference = shifted - scaled - offset[:, None, None]
        np.testing.assert_allclose(difference, np.zeros_like(shifted), atol=1e-6)
        assert (np.abs(scale[0] - scale[1]) > 1e-5).all()
        assert (np.abs(offset[0] - offset[1]) > 1e-5).all()
        # At first about those of a plain batch norm.
        np.testing.assert_allclose(scale, 1, atol=0.5)
        np.testing.assert_allclose(offset, 0, atol=0.5)


def measure_checkerboard(maps: np.ndarray) -> float:
    """Return the largest alternation inside the border, relative to the contrast.

    Of flat inputs a strided kernel makes a pattern that repeats every two pixels: each of its
    parts alternates along rows, along columns or along both.
    """
    inner = maps[:, 3:-3, 3:-3]
    rows, columns = (np.indices(inner.shape[1:3]) % 2 * 2 - 1)[..., None]
    parts = [
        np.abs((inner * sign).mean(axis=(1, 2))).max() for sign in (rows, columns, rows * columns)
    ]
    return max(parts) / np.abs(inner).max()


def test_the_last_two_upsamplings_make_no_checkerboard_of_flat_feature_maps():
    generator = build(32)
    upsamplings = [x for x in generator.layers if isinstance(x, layers.Conv2DTranspose)][1:]
    averages = [x for x in generator.layers if isinstance(x, layers.AveragePooling2D)]
    assert len(upsamplings) == 3 and len(averages) == 2
    for upsampling, average in zip(upsamplings[1:], averages, strict=True):
        assert average.input is upsampling.output
        flat = np.ones((1, 12, 12, upsampling.input.shape[-1]), np.float32)
        upsampled = np.asarray(upsampling(flat))
        assert measure_checkerboard(upsampled) > 0.05
        assert measure_checkerboard(np.asarray(average(upsampled))) < 1e-5


def test_the_average_of_an_alternating_pattern_is_zero_and_keeps_flat_areas():
    generator = build(32)
    average = [x for x in generator.layers if isinstance(x, layers.AveragePooling2D)][-1]
    rows, columns = np.indices((8, 8))
    for sign in ((-1.0) ** rows, (-1.0) ** columns, (-1.0) ** (rows + columns)):
        averaged = np.asarray(average(sign[None, ..., None].astype(np.float32)))
        assert averaged.shape == (1, 8, 8, 1)
        np.testing.assert_array_equal(averaged[:, :-1, :-1], 0)
    np.testing.assert_array_equal(average(np.ones((1, 8, 8, 1), np.float32)), 1)


def test_a_saved_generator_loads_in_safe_mode(tmp_path):
    generator, inputs = build(32, CLASSES), draw_inputs(CLASSES)
    generator.save(tmp_path / "generator.keras")
    loaded = keras.saving.load_model(tmp_path / "generator.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(inputs), generator(inputs))
