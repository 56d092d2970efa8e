import math

import numpy as np
import pytest

from ganvas.networks.image_encoder import (
    FeatureProjection,
    ImageEncoder,
    average_over_grid,
    encode,
    encoding_batch,
    from_arrays,
    load_backbone,
    to_arrays,
)
from ganvas.saved_arrays import read_arrays, write_arrays

# Features of the backbone's four maps, of grids of 4×4 cells or fewer, and of 8×8 colors.
COUNTS = {(32, 32, 3): [384, 640, 448, 320, 192], (64, 32, 1): [768, 1280, 896, 640, 91]}


def make_encoder(shape, w_shape=(12,), latent=10) -> ImageEncoder:
    rng = np.random.default_rng(0)
    counts = np.array(COUNTS[shape])
    total = counts.sum()
    projection = FeatureProjection(
        rng.normal(0, 0.1, total).astype(np.float32),
        np.array([3.0, 4.0, 5.0, 6.0, 1.5], np.float32),
        counts,
        rng.normal(0, 0.02, (total, latent)).astype(np.float32),
        rng.standard_normal(latent, dtype=np.float32),
    )
    return ImageEncoder("efficientnet_lite0", 1, shape, w_shape, projection)


def make_images(shape, count=3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def encode_naively(encoder: ImageEncoder, image: np.ndarray) -> list[float]:
    """The latent of one image, by loops over cells."""
    backbone = load_backbone(encoder.backbone, encoder.image_shape, encoder.input_upscale)
    batch = image[None] / 127.5 - 1
    maps = [np.asarray(x)[0].astype(float) for x in backbone(batch.astype(np.float32))]
    values = []
    for grid, x in [*((4, x) for x in maps[1:]), (8, maps[0])]:
        cell = max(math.isqrt(x.shape[0] * x.shape[1]) // grid, 1)
        # Where cells don't divide a side, those at its ends are smaller.
        tops, lefts = (range(-((-side % cell) // 2), side, cell) for side in x.shape[:2])
        for top in tops:
            for left in lefts:
                part = x[max(top, 0) : top + cell, max(left, 0) : left + cell]
                values += list(part.mean(axis=(0, 1)))
    means, scales, counts, matrix, offset = encoder.projection
    sizes = [scale for scale, count in zip(scales, counts, strict=True) for _ in range(count)]
    standardized = (np.array(values) - means) / sizes
    return list(standardized @ matrix.astype(float) + offset)


@pytest.mark.parametrize("shape", COUNTS, ids=str)
def test_a_code_is_the_projection_of_averaged_features(shape):
    encoder, images = make_encoder(shape), make_images(shape)
    w = encode(encoder, images)
    assert w.shape == (3, 12) and w.dtype == np.float32
    for code, image in zip(w, images, strict=True):
        np.testing.assert_allclose(code[:10], encode_naively(encoder, image), atol=2e-4)
    # Axes beyond the components are at their mean.
    assert not w[:, 10:].any()


def test_a_code_does_not_depend_on_the_other_images():
    shape = (32, 32, 3)
    encoder, images = make_encoder(shape), make_images(shape, count=19)
    together = encode(encoder, images)
    np.testing.assert_array_equal(together[:1], encode(encoder, images[:1]))
    np.testing.assert_array_equal(together[17:], encode(encoder, images[17:]))
    assert encode(encoder, images[:0]).shape == (0, 12)


def test_all_layers_have_the_same_style():
    encoder = make_encoder((32, 32, 3), w_shape=(4, 10))
    w = encode(encoder, make_images((32, 32, 3)))
    assert w.shape == (3, 4, 10) and (w == w[:, :1]).all() and w.any()


def test_large_images_are_encoded_a_few_at_a_time():
    assert [encoding_batch((side, side, 3)) for side in (64, 512, 2048)] == [16, 4, 1]


def test_saved_encoders_of_enlarged_images_are_read():
    # Arrays have the scale as float.
    encoder = make_encoder((32, 32, 3))._replace(input_upscale=2)
    loaded = from_arrays(to_arrays(encoder))
    backbone = load_backbone(loaded.backbone, loaded.image_shape, loaded.input_upscale)
    assert [x.shape[1] for x in backbone.outputs[1:]] == [16, 8, 4, 2]


def test_saved_encoders_are_equal_up_to_rounding(tmp_path):
    encoder, images = make_encoder((32, 32, 3)), make_images((32, 32, 3))
    write_arrays(tmp_path / "encoder.npz", to_arrays(encoder))
    loaded = from_arrays(read_arrays(tmp_path / "encoder.npz"))
    assert loaded[:4] == encoder[:4]
    before, after = encode(encoder, images), encode(loaded, images)
    assert 0 < np.abs(before - after).max() < 1e-3 * before.std()


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": np.array("vgg")},
        {"offset": np.zeros(9)},
        {"offset": np.full(10, np.nan)},
        {"scales": np.zeros(5)},
        {"input_upscale": np.array(np.nan)},
        {"counts": np.array([1, 2])},
        {"w_shape": np.array([4])},
        {"matrix": np.full((1984, 10), np.nan)},
        {"image_shape": np.array(3)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_arrays_that_are_no_encoder_are_refused(change):
    with pytest.raises(ValueError, match="are no encoder"):
        from_arrays(to_arrays(make_encoder((32, 32, 3))) | change)
    with pytest.raises(ValueError, match="are no encoder"):
        from_arrays({})


def test_averages_over_cells_keep_the_mean_of_constant_images():
    constant = average_over_grid(np.full((1, 96, 64, 2), 0.25, np.float32), 8)
    np.testing.assert_allclose(constant, 0.25)
