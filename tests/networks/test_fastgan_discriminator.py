"""FastGAN's discriminator against outputs and parameter counts of the authors' code."""

import keras
import numpy as np
import pytest
from keras import layers

from ganvas.networks.config import FastganParams
from ganvas.networks.fastgan import build_fastgan
from ganvas.networks.gan_networks import reconstructs_real_images

CLASSES = 3
# Trainable parameters of the authors' networks of width 8, with decoders of width 4.
COUNTS = {256: (1_373_994, 184_186), 512: (1_374_690, 184_228)}


def build(shape=(64, 64, 3), classes=0, latent=6, width=4):
    keras.utils.set_random_seed(0)
    widths = {"generator_width": width, "discriminator_width": width, "class_embedding": 4}
    return build_fastgan(FastganParams(latent=latent, **widths), shape, classes)


def list_layers(network: keras.Model, kind: type) -> list[keras.Layer]:
    """Return the layers of a kind, those of nested models included, in order of creation."""
    found = []
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            found += list_layers(layer, kind)
        elif isinstance(layer, kind):
            found.append(layer)
    return sorted(found, key=lambda x: int("0" + x.name.removeprefix(x.name.rstrip("0123456789"))))


def unwrap(network: keras.Model) -> keras.Model:
    """Clone without spectral norm, which would change the kernels in training."""
    return keras.models.clone_model(
        network,
        clone_function=lambda x: x.layer if isinstance(x, layers.SpectralNormalization) else x,
    )


def test_logits_and_reconstructions_equal_those_of_the_authors_code():
    discriminator = build((256, 256, 3), width=8).discriminator
    for number, layer in enumerate(list_layers(discriminator, layers.SpectralNormalization)):
        shape = layer.layer.kernel.shape
        i = np.indices(shape)
        angles = 1 + 0.7 * i[0] + 1.3 * i[1] + 2.1 * i[2] + 2.9 * i[3] + 0.5 * number
        layer.layer.kernel.assign(np.sin(angles) * np.sqrt(2 / np.prod(shape[:3])))
    for norm in list_layers(discriminator, layers.BatchNormalization):
        norm.gamma.assign(np.ones(norm.gamma.shape))
        norm.beta.assign(np.full(norm.beta.shape, 0.1))
    encoder, decoders = (unwrap(discriminator.get_layer(x)) for x in ("encoder", "decoders"))
    i = np.indices((2, 256, 256, 3))
    images = np.sin(0.05 * i[1] * (1 + i[0]) + 0.11 * i[2] + 2 * i[3]).astype(np.float32)
    outputs = encoder([images, images[:, ::2, ::2]], training=True)
    # The bottom left quarter.
    quarter = outputs["middle_features"][:, 8:, :8]
    decoded = decoders([outputs["features"], outputs["small_features"], quarter], training=True)

    # There the logits of one kind of images come first, of both.
    logits = np.asarray(outputs["logits"]).reshape(2, 2, 25).transpose(1, 0, 2)
    expected = [0.05513325, 0.0475794, 0.01746077, 0.12214504, 0.07383998]
    np.testing.assert_allclose(logits.ravel()[::20], expected, atol=2e-5)
    np.testing.assert_allclose(logits.mean(), 0.04617906, atol=1e-5)
    np.testing.assert_allclose(logits.std(), 0.07393079, atol=1e-5)
    # Channels first, as there: pixels 0, 1/5, 2/5, … of each, the mean and the deviation.
    for maps, (pixels, mean, deviation) in zip(
        decoded,
        [
            ([-0.147032, -0.710664, -0.239545, 0.433731, -0.044807], 0.0219496, 0.4789341),
            ([-0.018495, -0.460639, 0.275560, 0.554974, -0.650877], 0.0064271, 0.5311413),
            ([-0.017364, 0.315770, 0.404499, -0.498813, 0.426593], -0.0357091, 0.4151584),
        ],
        strict=True,
    ):
        values = np.asarray(maps).transpose(0, 3, 1, 2)
        assert values.shape == (2, 3, 128, 128)
        np.testing.assert_allclose(values.ravel()[:: values.size // 5][:5], pixels, atol=5e-5)
        np.testing.assert_allclose([values.mean(), values.std()], [mean, deviation], atol=5e-5)


@pytest.mark.parametrize("side", [pytest.param(256, marks=pytest.mark.exhaustive), 512])
def test_parameter_counts_equal_those_of_the_authors_code(side):
    networks = build((side, side, 3), latent=256, width=8)
    models = networks.training_generator, networks.discriminator
    counts = [sum(v.value.shape.num_elements() for v in x.trainable_variables) for x in models]
    assert tuple(counts) == COUNTS[side]
    # Without the layer to small images.
    generator = networks.generator.trainable_variables
    assert len(generator) == len(models[0].trainable_variables) - 1


@pytest.mark.parametrize(
    ("shape", "classes", "small", "logits"),
    [((96, 64, 1), CLASSES, (48, 32), 45), ((32, 32, 4), 0, (16, 16), 25)],
)
def test_both_images_have_logits_and_are_decoded_up_to_their_sides(shape, classes, small, logits):
    networks = build(shape, classes)
    images, small_images = networks.training_generator.output
    assert images.shape[1:] == shape and small_images.shape[1:] == (*small, shape[2])
    discriminator = networks.discriminator
    assert reconstructs_real_images(discriminator)
    inputs = [np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype(np.float32)]
    inputs += [np.eye(CLASSES, dtype=np.float32)[:2]] if classes else []
    outputs = discriminator(inputs if classes else inputs[0])
    assert outputs["logits"].shape == (2, 2 * logits)
    for name in ("decoded", "decoded_small", "decoded_quarter"):
        assert outputs[name].shape[1:] == shape


def test_a_class_changes_all_logits():
    encoder = build((32, 32, 3), CLASSES).discriminator.get_layer("encoder")
    rng = np.random.default_rng(0)
    images = [rng.uniform(-1, 1, (1, side, side, 3)).astype(np.float32) for side in (32, 16)]
    one, other = (
        np.asarray(encoder([*images, np.eye(CLASSES, dtype=np.float32)[[k]]])["logits"])
        for k in (0, 1)
    )
    assert (one != other).all()


def test_generators_share_their_layers():
    networks = build((32, 32, 3))
    networks.generator.set_weights([2 * x for x in networks.generator.get_weights()])
    latents = np.random.default_rng(0).standard_normal((2, 6), dtype=np.float32)
    images, _ = networks.training_generator(latents)
    np.testing.assert_array_equal(images, networks.generator(latents))
