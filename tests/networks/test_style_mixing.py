"""Random noise and style mixing of StyleGAN2's generator in training."""

import numpy as np
import pytest

from ganvas.networks.style_mixing import MixStyles, NormalLike


def test_noise_is_normal_and_new_for_each_image_and_call():
    layer = NormalLike((40, 50, 1))
    first, second = (np.asarray(layer(np.ones((4, 3), np.float32))) for _ in range(2))
    assert first.shape == (4, 40, 50, 1)
    assert first.mean() == pytest.approx(0, abs=0.05) and first.std() == pytest.approx(1, abs=0.05)
    for a, b in ((first[0], first[1]), (first[0], second[0])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.1


def draw_starts(layers: int, probability: float, count: int) -> np.ndarray:
    """Return from which layer on images have the second style, for `count` batches."""
    mix = MixStyles(layers, probability)
    styles = [np.full((2, 3), value, np.float32) for value in (1, 2)]
    mixed = np.array([np.asarray(mix(styles)) for _ in range(count)])
    assert mixed.shape == (count, 2, layers, 3)
    # All images and all of a style's values are mixed at the same layer.
    assert (mixed == mixed[:, :1, :, :1]).all()
    assert (np.diff(mixed[:, 0, :, 0], axis=1) >= 0).all()
    return (mixed[:, 0, :, 0] == 1).sum(axis=1)


def test_batches_are_mixed_from_any_layer_but_the_first():
    counts = np.bincount(draw_starts(4, 0.6, 200), minlength=5) / 200
    np.testing.assert_allclose(counts, [0, 0.2, 0.2, 0.2, 0.4], atol=0.11)


@pytest.mark.parametrize(("probability", "starts"), [(0, {4}), (1, {1, 2, 3})])
def test_no_or_all_batches_are_mixed(probability, starts):
    assert set(draw_starts(4, probability, 40)) == starts
