"""ADA: how the probability of augmentation follows the logits of real images."""

import numpy as np
import pytest

from reference_step import (
    SIDE,
    ReferenceStep,
    assert_close,
    build_brightness,
    build_smooth,
    draw_batch,
    make_gan,
    run_step,
    weights_of,
)


def test_adaptive_augmentation_starts_without_any():
    networks = build_smooth()
    reference, gan = (
        ReferenceStep(networks),
        make_gan(networks, augment={"name": "adaptive_diffaugment"}),
    )
    expected = reference.update_alternating(draw_batch())
    assert run_step(gan, draw_batch()) == pytest.approx(expected, rel=1e-5)
    assert_close(weights_of(*networks), weights_of(*reference.networks))


def run_ada(start: float, num_positive: list[int], discriminator_steps: int = 1) -> list[float]:
    """Return ADA's probability after each step.

    Args:
        start: The probability before.
        num_positive: For each step, the number of its 10 images with logits above 0.
        discriminator_steps: How often each step has these images.
    """
    ada = {"name": "adaptive_diffaugment", "interval": 4, "speed": 400, "policy": ["translation"]}
    gan = make_gan(
        build_brightness(),
        learning_rates=(0.0, 0.0),
        batch_size=10,
        discriminator_steps=discriminator_steps,
        augment=ada,
    )
    probability = gan.adversary.augment_probability
    probability.assign(start)
    values = []
    for count in num_positive:
        images = np.zeros((10, SIDE, SIDE, 3), np.uint8)
        images[:count] = 255
        latents = draw_batch(10 * discriminator_steps)[1]
        run_step(gan, (np.tile(images, (discriminator_steps, 1, 1, 1)), latents))
        values.append(float(probability))
    assert any(variable is probability for variable in gan.state()["scalars"])
    return values


@pytest.mark.slow
def test_the_probability_rises_while_real_images_are_classified_too_well():
    # Four steps of 10 images, 400 images from 0 to 1.
    expected = [0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.1]
    assert run_ada(0.0, [10] * 8 + [0] * 4) == pytest.approx(expected)


def test_the_probability_counts_the_images_of_all_discriminator_steps():
    # Four steps of three times 10 images.
    assert run_ada(0.0, [10] * 4, discriminator_steps=3)[-1] == pytest.approx(0.3)


@pytest.mark.slow
def test_the_probability_follows_the_signs_of_all_steps_since_the_last_update():
    # Mean signs of .5 and .7, with the target .6 between them.
    assert run_ada(0.5, [0, 10, 10, 10])[-1] == pytest.approx(0.4)
    assert run_ada(0.5, [4, 10, 10, 10])[-1] == pytest.approx(0.6)
    assert run_ada(0.5, [10, 10, 10, 4])[-1] == pytest.approx(0.6)


@pytest.mark.slow
def test_the_probability_stays_between_0_and_1():
    assert run_ada(0.05, [0] * 8)[3::4] == [0.0, 0.0]
    assert run_ada(0.95, [10] * 8)[3::4] == [1.0, 1.0]


def test_the_signs_are_taken_at_the_decision_threshold_of_the_loss():
    ada = {"name": "adaptive_diffaugment", "interval": 1, "speed": 100, "policy": ["translation"]}
    gray = np.full((10, SIDE, SIDE, 3), 178, np.uint8)  # Logits of 0.4.
    for loss, direction in (("least_squares", 0.4), ("hinge", 0.6)):
        gan = make_gan(build_brightness(), (0.0, 0.0), augment=ada, loss={"name": loss})
        probability = gan.adversary.augment_probability
        probability.assign(0.5)
        run_step(gan, (gray[:8], draw_batch(8)[1]))
        assert float(probability) == pytest.approx(0.5 + (direction - 0.5) * 0.8, abs=1e-3)
