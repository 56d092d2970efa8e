"""Truncation in W."""

import numpy as np

from ganvas.latents.truncation import truncate_w


def test_one_changes_nothing_and_zero_is_the_mean():
    rng = np.random.default_rng(0)
    for shape in ((3, 5), (3, 2, 5)):
        w, means = rng.normal(size=(2, *shape)).astype(np.float32)
        truncated = truncate_w(w, means, np.array([1.0, 0.0, 0.5]))
        np.testing.assert_array_equal(truncated[0], w[0])
        np.testing.assert_array_equal(truncated[1], means[1])
        np.testing.assert_allclose(truncated[2], (w[2] + means[2]) / 2, rtol=1e-6)
