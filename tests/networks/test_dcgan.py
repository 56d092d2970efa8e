from itertools import pairwise

import keras
import numpy as np
import pytest

from ganvas.networks.dcgan import DcganParams, build_dcgan


def count_trainable(model: keras.Model) -> int:
    return sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)


def test_parameter_counts_are_those_of_the_original():
    generator, discriminator = build_dcgan(DcganParams(), (64, 64, 3))
    # nz·8w·16 + 8w·4w·16 + 4w·2w·16 + 2w·w·16 + w·3·16, and two for each normalised channel.
    widths = [512, 256, 128, 64]
    kernels = 100 * 512 * 16 + sum(
        a * b * 16 for a, b in zip(widths, [*widths[1:], 3], strict=True)
    )
    assert count_trainable(generator) == kernels + 2 * sum(widths) == 3_576_704
    kernels = 16 * sum(a * b for a, b in pairwise([3, *widths[::-1], 1]))
    assert count_trainable(discriminator) == kernels + 2 * (128 + 256 + 512) == 2_765_568


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_shapes_at_every_size(side):
    params = DcganParams(latent=5, generator_width=1, discriminator_width=1)
    generator, discriminator = build_dcgan(params, (side, side, 3))
    pictures = generator(np.zeros((2, 5), np.float32))
    assert pictures.shape == (2, side, side, 3)
    assert discriminator(pictures).shape == (2, 1)


def test_initial_weights_follow_the_paper():
    keras.utils.set_random_seed(0)
    generator, discriminator = build_dcgan(DcganParams(), (64, 64, 3))
    for model in (generator, discriminator):
        for layer in model.layers:
            if hasattr(layer, "kernel"):
                assert float(np.std(layer.kernel)) == pytest.approx(0.02, rel=0.05)
            if isinstance(layer, keras.layers.BatchNormalization):
                assert float(np.mean(layer.gamma)) == pytest.approx(1.0, abs=0.01)
                assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
            assert getattr(layer, "use_bias", False) is False


def test_saved_networks_load_in_safe_mode_and_paint_the_same(networks, tmp_path):
    latents = np.random.default_rng(0).standard_normal((3, 6), dtype=np.float32)
    generator, discriminator = networks
    for model, inputs in ((generator, latents), (discriminator, generator(latents))):
        file = tmp_path / f"{model.name}.keras"
        model.save(file)
        loaded = keras.saving.load_model(file, safe_mode=True)
        np.testing.assert_array_equal(loaded(inputs), model(inputs))
