"""Which images the nodes of the report choose, and where they place them."""

import keras
import numpy as np
import pandas as pd
import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.collection import Collection
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.sampling import sample_latents
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.networks.styles import map_latents, mix_styles, repeat_styles, synthesize
from ganvas.pipelines.report import nodes
from ganvas.pipelines.report.nodes import (
    make_class_sheets,
    make_generated_grid,
    make_interpolation_grid,
    make_real_grid,
    make_samples,
    make_style_mixing,
    make_truncation_sweep,
)
from ganvas.pipelines.report.params import ReportParams
from ganvas.visualization.image_grid import split_grid
from ganvas.visualization.image_tables import split_style_mixing, split_truncation_sweep

# The gray of each class's real images, and of its generated ones.
LEVELS = {"a": (10, 64), "b": (20, 128), "c": (30, 191)}
CLASS_LIST = {"column": "kind", "names": ["a", "b", "c"]}
NO_CLASSES = {"column": None, "names": []}


@pytest.fixture
def generator() -> keras.Model:
    """Images whose first pixels have the gray of the class, and the others that of the latent."""
    latents, classes = keras.Input((2,)), keras.Input((3,))
    gray = 0.5 * (classes[:, 2:] - classes[:, :1]) + 0 * latents[:, :1]
    noise = keras.ops.tanh(latents[:, :1])
    columns = keras.ops.concatenate([gray] * 4 + [noise] * 4, axis=1)
    outputs = keras.ops.repeat(keras.layers.Reshape((1, 8, 1))(columns), 8, axis=1)
    return keras.Model([latents, classes], keras.ops.repeat(outputs, 3, axis=-1))


def make_collection(kinds, splits, levels):
    images = np.full((len(levels), 8, 8, 3), np.reshape(levels, (-1, 1, 1, 1)), np.uint8)
    index = pd.DataFrame({"kind": list(kinds), "split": splits})
    hashes = [f"{number}" for number in reversed(range(len(levels)))]
    return Collection(images, index.assign(hash=hashes), pd.DataFrame())


def test_each_class_is_beside_its_own_images(generator):
    levels = [LEVELS[kind][0] for kind in "cabcab"]
    collection = make_collection("cabcab", "train", levels)
    ((_, sheet),) = make_class_sheets(generator, CLASS_LIST, collection, ReportParams())
    tops = []
    for pair in LEVELS.values():
        # A few pixels of latents may have any gray.
        real, generated = (np.flatnonzero((sheet == x).all(-1).sum(1) > 6) for x in pair)
        np.testing.assert_array_equal(real, generated)
        assert len(real) == 8
        tops.append(real[0])
    assert tops == sorted(tops)
    # The second halves of the images: no two of the 24 have the same latent.
    cells = split_grid(sheet[22:, -8 * 10 - 2 :], 8, 8)[:, :, 0, 4, 0]
    assert len(np.unique(cells)) > 20


def test_a_collection_that_was_packed_again_in_another_shape_is_refused(generator):
    collection = make_collection("cab", "train", [1, 2, 3])
    other = collection._replace(images=np.zeros((3, 32, 64, 1), np.uint8))
    with pytest.raises(GanvasError, match=r"set ingest\.size to 8 and ingest\.channels to rgb"):
        make_class_sheets(generator, CLASS_LIST, other, ReportParams())


def test_real_images_are_of_the_validation_split_and_in_rows_by_class():
    splits = ["train"] * 6 + ["validation"] * 4
    collection = make_collection("cabcabbabb", splits, [1, 2, 3, 4, 5, 6, 200, 210, 201, 202])
    cells = split_grid(make_real_grid(collection, CLASS_LIST, ReportParams()), 8, 8)[:, :, 0, 0, 0]
    assert cells.shape == (3, 3)
    assert set(cells[0]) == {210, 255} and set(cells[1]) == {200, 201, 202}
    # No validation image is of class c.
    assert set(cells[2]) == {1, 4, 255}
    no_classes = {"column": None, "names": []}
    cells = split_grid(make_real_grid(collection, no_classes, ReportParams()), 8, 8)
    assert set(cells[..., 0, 0, 0].ravel()) == {200, 210, 201, 202}


@pytest.mark.parametrize(("make", "columns"), [(make_samples, 5), (make_generated_grid, 6)])
def test_generated_images_are_in_rows_by_class_with_latents_of_their_own(generator, make, columns):
    made = make(generator, CLASS_LIST, ReportParams(rows=2, columns=5))
    # The samples have no files at full size, since the grid has them.
    grid, files = made if isinstance(made, tuple) else (made, [])
    assert files == []
    cells = split_grid(grid, 8, 8)
    assert cells.shape[:2] == (3, columns)
    classes = np.array([level for _, level in LEVELS.values()])
    np.testing.assert_array_equal(cells[..., 0, 0, 0], np.repeat(classes[:, None], columns, axis=1))
    assert len(np.unique(cells[..., 0, 4, 0])) > 0.8 * 3 * columns


def test_each_interpolation_is_within_one_class(generator):
    cells = make_interpolation_grid(generator, CLASS_LIST, ReportParams()).reshape(4, 8, 9, 8, 3)
    firsts = cells[:, 0, :, 0, 0]
    assert (firsts == firsts[:, :1]).all()
    assert firsts[:, 0].tolist() == [64, 128, 191, 64]


def test_each_row_of_a_sweep_is_one_latent_of_one_class(generator):
    params = ReportParams(truncations=[-1, 0, 0.5, 1])
    sweep = make_truncation_sweep(generator, CLASS_LIST, params)
    cells = split_truncation_sweep(sweep, (8, 8), 4)
    assert cells.shape == (4, 4, 8, 8, 3)
    classes, grays = cells[:, :, 0, 0, 0], cells[:, :, 0, 4, 0].astype(int)
    assert (classes == classes[:, :1]).all() and classes[:, 0].tolist() == [64, 128, 191, 64]
    # tanh of a latent times the truncation.
    values = np.arctanh(np.clip(grays / 127.5 - 1, -0.999, 0.999))
    assert (grays[:, 1] == 128).all() and len(np.unique(grays[:, 3])) == 4
    np.testing.assert_allclose(values[:, 2], values[:, 3] / 2, atol=0.05)
    np.testing.assert_allclose(values[:, 0], -values[:, 3], atol=0.05)


def test_truncations_are_different_numbers():
    for wrong in ([], [0.5, 0.5], [3]):
        with pytest.raises(ValueError, match="truncations"):
            ReportParams(truncations=wrong)


def test_a_network_without_styles_has_no_style_mixing_table(generator):
    assert make_style_mixing(generator, CLASS_LIST, ReportParams()).size == 0


def test_mixed_images_have_the_layers_of_their_groups_from_the_top():
    keras.utils.set_random_seed(0)
    network = Stylegan2Params(channel_base=128, max_width=8, latent=6, style=8, mapping_layers=2)
    generator = build_stylegan2(network, (32, 32, 3)).generator
    table = make_style_mixing(generator, NO_CLASSES, ReportParams(style_rows=2, style_columns=3))
    left, right = split_style_mixing(table, (32, 32), 3)
    # Images of 32×32 pixels have coarse and middle layers.
    assert left.shape[:2] == (5, 1) and right.shape[:2] == (5, 3)
    np.testing.assert_array_equal(left[1:3], left[3:5])
    styles = repeat_styles(generator, map_latents(generator, sample_latents(generator, 5, 1 + 4)))
    np.testing.assert_array_equal(synthesize(generator, styles)[2:], right[0])
    for row, layers in ((1, range(4)), (3, range(4, 8))):
        mixed = mix_styles(styles[:1], styles[2:], layers)
        np.testing.assert_array_equal(right[row], synthesize(generator, mixed))


@pytest.mark.parametrize(("most", "count"), [(2**26, 6), (4 * 128 * 128, 4)])
def test_first_samples_of_large_images_are_saved_at_full_size(most, count, monkeypatch):
    monkeypatch.setattr(nodes, "FULL_SIZE_PIXELS", most)
    latents = keras.Input((2,))
    color = keras.layers.Reshape((1, 1, 4))(keras.ops.tile(keras.ops.tanh(latents), (1, 2)))
    generator = keras.Model(latents, keras.layers.UpSampling2D(128)(color))
    grid, files = make_samples(generator, NO_CLASSES, ReportParams(rows=2, columns=3))
    assert [name for name, _ in files] == [f"sample{number:03d}" for number in range(count)]
    # Files have alpha, and the grid has a checkerboard in its place.
    assert all(image.shape == (128, 128, 4) for _, image in files)
    cells = split_grid(grid, 128, 128)
    assert cells.shape == (2, 3, 128, 128, 3)
    image, cell = files[1][1][0], cells[0, 1, 0]
    assert len(np.unique(cell, axis=0)) == 2 and len(np.unique(image, axis=0)) == 1
