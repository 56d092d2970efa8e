"""Training with small images and reconstructions, by FastGAN's networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.errors import GanvasError
from ganvas.networks import NetworkParams, build
from ganvas.training.checkpoint_contents import read_variables, write_variables
from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN
from ganvas.training.optimizers import make_optimizer
from ganvas.training.reconstruction import ReconstructingAdversary, _cut_quarter, _shrink

SIDE, CLASSES = 32, 2
TINY = {"latent": 6, "generator_width": 2, "discriminator_width": 2, "class_embedding": 2}


def make_gan(precision: str = "float32", **changes) -> GAN:
    keras.utils.set_random_seed(0)
    network = NetworkParams(name="fastgan", fastgan=TINY)
    shape = (SIDE, SIDE, 3)
    networks = build(network, shape, CLASSES, precision)
    changes = {"augment": {"name": "diffaugment", "policy": ["translation"]}} | changes
    params = TrainParams(
        batch_size=4, precision=precision, loss={"name": "hinge", "label_noise": 0.2}, **changes
    )
    adversary = ReconstructingAdversary(networks.discriminator, params)
    gan = GAN(networks, build(network, shape, CLASSES).generator, params, adversary)
    gan.compile(*(make_optimizer(params, 1e-2, 10) for _ in range(2)))
    return gan


def draw_batch(seed: int = 0) -> tuple[tf.Tensor, ...]:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
    latents = rng.standard_normal((4, 6), dtype=np.float32)
    return tuple(map(tf.constant, (images, latents, [0, 1, 0, 1], [0, 1, 0, 1])))


def run_step(gan: GAN, seed: int) -> None:
    gan.reset_metrics()
    scores = gan.train_step(draw_batch(seed))
    assert all(np.isfinite(float(x)) for x in scores.values())


@pytest.mark.slow
def test_training_changes_all_weights_and_a_restored_state_determines_the_next_step():
    gan = make_gan(ema_decay=0.9)
    models = gan.training_generator, gan.discriminator
    before = [[x.numpy() for x in model.trainable_variables] for model in models]
    run_step(gan, 0)
    for model, old in zip(models, before, strict=True):
        assert all(
            (a.numpy() != b).any() for a, b in zip(model.trainable_variables, old, strict=True)
        )
    # The state has the layer to small images, and the seeds of the noise.
    state = read_variables(gan.state())
    held = {id(variable) for group in gan.state().values() for variable in group}
    assert all(id(v) in held for model in models for v in model.variables)
    run_step(gan, 1)
    end = read_variables(gan.state())
    write_variables(gan.state(), state)
    run_step(gan, 1)
    for name, array in read_variables(gan.state()).items():
        np.testing.assert_array_equal(array, end[name], err_msg=name)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_accumulated_gradients_in_half_precision_update_one_after_the_other():
    gan = make_gan("mixed_bfloat16", gradient_accumulation_steps=2, simultaneous_updates=False)
    before = [x.numpy() for x in gan.ema_weights]
    run_step(gan, 0)
    assert any((a.numpy() != b).any() for a, b in zip(gan.ema_weights, before, strict=True))


def test_only_real_images_are_reconstructed_and_the_loss_is_that_of_the_targets():
    gan = make_gan(augment={"name": "none"})
    adversary, labels = gan.adversary, tf.eye(2)
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, SIDE, SIDE, 3)), tf.float32)
    fake = adversary.forward([images, images[:, ::2, ::2]], labels)
    assert fake.aux_outputs == {}
    real = adversary.forward(images, labels)
    # Both see the same images; spectral norm changes a little from pass to pass.
    np.testing.assert_allclose(real.logits, fake.logits, atol=0.2)
    # Decoders that output zeros: the mean absolute value of all images and of a quarter.
    for layer in gan.discriminator.get_layer("decoders").layers:
        if layer.name.startswith("spectral") and layer.layer.kernel.shape[-1] == 3:
            layer.layer.kernel.assign(0 * layer.layer.kernel)
    loss = float(adversary.forward(images, labels).aux_outputs["reconstruction_loss"])
    size, half = np.abs(images), SIDE // 2
    quarters = [size[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    sums = [2 * size.mean() + quarter.mean() for quarter in quarters]
    assert min(abs(loss - x) for x in sums) < 1e-5
    assert float(adversary.generator_loss(fake, fake)) == pytest.approx(-np.mean(fake.logits))


def test_quarters_are_cut_and_pixels_left_out_or_repeated():
    x = tf.reshape(tf.range(2 * 4 * 6), (2, 4, 6, 1))
    for quarter, (y, left) in enumerate([(0, 0), (0, 3), (2, 0), (2, 3)]):
        cut = _cut_quarter(x, tf.constant(quarter))
        np.testing.assert_array_equal(cut, x[:, y : y + 2, left : left + 3])
    np.testing.assert_array_equal(_shrink(x, (2, 2, 3, 1)), x[:, ::2, ::2])
    larger = np.asarray(_shrink(x, (2, 8, 12, 1)))
    np.testing.assert_array_equal(larger[:, 1::2, 1::2], x)


def test_gradient_penalties_are_refused():
    encoder = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.BatchNormalization()])
    encoder.name = "encoder"
    images = keras.Input((4, 4, 3))
    with pytest.raises(GanvasError, match="batch norm"):
        ReconstructingAdversary(
            keras.Model(images, encoder(images)), TrainParams(penalty={"r1": 1.0})
        )
