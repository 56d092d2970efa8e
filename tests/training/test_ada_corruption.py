import keras
import numpy as np
import pytest

from ganvas.training.ada_corruption import Hole, cut_out, draw_cutout, draw_noise

RNG = np.random.default_rng(0)


def test_noise_has_another_standard_deviation_for_each_image():
    noise = np.asarray(draw_noise((3000, 8, 8, 3), 0.4, keras.random.SeedGenerator(1)))
    sigma = noise.std(axis=(1, 2, 3))
    assert (sigma > 0).mean() == pytest.approx(0.4, abs=0.03)
    # Half normal with a scale of 0.1; 192 pixels measure it to a twentieth.
    levels = np.quantile(sigma[sigma > 0], [0.25, 0.5, 0.9])
    assert levels == pytest.approx([0.0319, 0.0674, 0.1645], rel=0.12)
    pixels = noise[sigma > 0] / sigma[sigma > 0][:, None, None, None]
    assert np.quantile(pixels, [0.1, 0.5, 0.75]) == pytest.approx([-1.2816, 0, 0.6745], abs=0.02)
    flat = pixels.reshape(len(pixels), -1)[:, :20]
    assert np.abs(np.corrcoef(flat.T) - np.eye(20)).max() < 0.12


@pytest.mark.parametrize(("channels", "fill"), [(1, [0]), (3, [0] * 3), (4, [0, 0, 0, -1])])
def test_cutout_agrees_with_a_loop_over_pixels(channels, fill):
    images = RNG.uniform(-1, 1, (3, 7, 12, channels)).astype(np.float32)
    centers, sizes = [(0.3, 0.6), (0.95, 0.1), (0.5, 0.5)], [0.5, 0.5, 0]
    expected = images.copy()
    for image, (x, y), size in zip(expected, centers, sizes, strict=True):
        for i, j in np.ndindex(image.shape[:2]):
            if abs((j + 0.5) / 12 - x) < size / 2 and abs((i + 0.5) / 7 - y) < size / 2:
                image[i, j] = fill
    hole = Hole(np.array(centers, np.float32), np.array(sizes, np.float32)[:, None])
    np.testing.assert_array_equal(cut_out(images, hole), expected)
    assert (expected[0] != images[0]).any() and (expected[2] == images[2]).all()


def test_holes_have_their_center_anywhere_in_the_image():
    center, size = map(np.asarray, draw_cutout(20_000, 0.3, keras.random.SeedGenerator(1)))
    assert set(size.ravel()) == {0, 0.5} and (size > 0).mean() == pytest.approx(0.3, abs=0.015)
    levels = np.quantile(center, [0.1, 0.5, 0.9], axis=0)
    np.testing.assert_allclose(levels, np.tile([[0.1], [0.5], [0.9]], 2), atol=0.02)
    assert np.abs(np.corrcoef(np.column_stack([center, size]).T) - np.eye(3)).max() < 0.03
