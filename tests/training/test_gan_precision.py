"""The training step in mixed precision against that in float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ganvas.training.config import TrainParams
from ganvas.training.gan import GAN
from ganvas.training.optimizers import make_optimizer
from reference_step import (
    assert_close,
    build_dcgan,
    copy_network,
    differ,
    draw_batch,
    fit,
    make_gan,
    run_step,
    trainable_weights_of,
    weights_of,
)

pytestmark = pytest.mark.slow

MIXED = ["mixed_bfloat16", "mixed_float16"]


def flat_trainable_weights(model: keras.Model) -> np.ndarray:
    return np.concatenate([weight.ravel() for weight in trainable_weights_of(model)])


def make_mixed_gan(precision: str, simultaneous: bool) -> GAN:
    networks = build_dcgan(precision)
    gan = GAN(networks, networks[0], TrainParams(batch_size=8, simultaneous_updates=simultaneous))
    optimizers = [keras.optimizers.SGD(1e-3) for _ in networks]
    if precision == "mixed_float16":
        optimizers = [
            keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
            for optimizer in optimizers
        ]
    gan.compile(*optimizers)
    return gan


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("precision", MIXED)
def test_a_step_in_mixed_precision_is_close_to_that_in_float32(precision, simultaneous):
    changes, scores = [], []
    for case in ("float32", precision):
        gan = make_mixed_gan(case, simultaneous)
        networks = gan.generator, gan.discriminator
        start = [flat_trainable_weights(model) for model in networks]
        scores.append(fit(gan, draw_batch(side=32)))
        changes.append(
            [
                flat_trainable_weights(model) - before
                for model, before in zip(networks, start, strict=True)
            ]
        )
    assert scores[1] == pytest.approx(scores[0], rel=2e-3)
    for full, mixed in zip(*changes, strict=True):
        # Rounding puts some values on the other side of a kink.
        assert np.linalg.norm(mixed - full) < 0.15 * np.linalg.norm(full)


@pytest.mark.parametrize("precision", MIXED)
def test_variables_images_and_logits_are_float32_in_mixed_precision(precision):
    gan = make_mixed_gan(precision, simultaneous=False)
    dtypes = {str(variable.dtype) for group in gan.state().values() for variable in group}
    assert {dtype for dtype in dtypes if "float" in dtype} == {"float32"}
    images = gan.generator(draw_batch()[1])
    assert images.dtype == gan.discriminator(images).dtype == tf.float32
    assert gan.discriminator.layers[1].compute_dtype == precision.removeprefix("mixed_")


@pytest.mark.parametrize("precision", MIXED)
def test_regularization_and_augmentation_work_in_mixed_precision(precision):
    results, params = [], {"penalty": {"r1": 1.0, "wgan_gp": 1.0, "lecam": 1.0, "lecam_start": 0}}
    for case in ("float32", precision):
        networks = build_dcgan(case, norm="none")
        gan = make_gan(
            networks, learning_rates=(0.1, 0.1), augment={"name": "diffaugment"}, **params
        )
        results.append([run_step(gan, draw_batch(side=32)), weights_of(*networks)])
    assert results[1][0] == pytest.approx(results[0][0], rel=2e-3)
    assert_close(results[1][1], results[0][1], atol=1e-3)


def test_an_overflow_lowers_the_loss_scale_and_leaves_the_weights():
    networks = build_dcgan("mixed_float16")
    ema_generator = copy_network(networks[0])
    params = TrainParams(batch_size=8, precision="mixed_float16", ema_decay=0.9)
    gan = GAN(networks, ema_generator, params)
    optimizers = [make_optimizer(params, 2e-4, 10) for _ in networks]
    gan.compile(*optimizers)
    for optimizer in optimizers:
        optimizer.dynamic_scale.assign(2.0**30)
    start = [trainable_weights_of(model) for model in networks]
    fit(gan, draw_batch(side=32))
    after = [trainable_weights_of(model) for model in networks]
    for actual, expected in zip(after, start, strict=True):
        assert_close(actual, expected, atol=0)
    assert [float(optimizer.dynamic_scale) for optimizer in optimizers] == [2.0**29] * 2
    assert [int(optimizer.iterations) for optimizer in optimizers] == [0, 0]
    for i in range(30):
        fit(gan, draw_batch(seed=i, side=32))
    assert all(float(optimizer.dynamic_scale) < 2.0**29 for optimizer in optimizers)
    assert all(int(optimizer.iterations) > 5 for optimizer in optimizers)
    assert all(np.isfinite(weight).all() for weight in weights_of(*networks, ema_generator))
    for model, weights in zip(networks, start, strict=True):
        assert differ(trainable_weights_of(model), weights)
