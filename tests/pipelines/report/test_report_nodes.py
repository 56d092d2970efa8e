"""Which images the nodes of the report choose, and where they place them."""

import keras
import numpy as np
import pandas as pd

from ganvas.ingestion.collection import Collection
from ganvas.pipelines.report.nodes import make_class_sheets, make_real_grid
from ganvas.pipelines.report.params import ReportParams

# The gray of each class's real images, and of its generated ones.
LEVELS = {"a": (10, 64), "b": (20, 128), "c": (30, 191)}


def test_each_class_is_beside_its_own_images_and_real_ones_are_from_validation():
    latents, classes = keras.Input((2,)), keras.Input((3,))
    gray = 0.5 * (classes[:, 2:] - classes[:, :1]) + 0 * latents[:, :1]
    outputs = keras.layers.UpSampling2D(8)(keras.layers.Reshape((1, 1, 1))(gray))
    generator = keras.Model([latents, classes], keras.ops.repeat(outputs, 3, axis=-1))
    levels = [LEVELS[kind][0] for kind in "cabcab"] + [200, 210]
    images = np.full((8, 8, 8, 3), np.reshape(levels, (-1, 1, 1, 1)), np.uint8)
    index = pd.DataFrame({"kind": list("cabcabab"), "hash": list("76543210")})
    index = index.assign(split=["train"] * 6 + ["validation"] * 2)
    collection = Collection(images, index, pd.DataFrame())
    class_list = {"column": "kind", "names": ["a", "b", "c"]}
    ((_, sheet),) = make_class_sheets(generator, class_list, collection, ReportParams())
    tops = []
    for pair in LEVELS.values():
        real, generated = (np.flatnonzero((sheet == x).all(-1).any(1)) for x in pair)
        np.testing.assert_array_equal(real, generated)
        assert len(real) == 8
        tops.append(real[0])
    assert tops == sorted(tops)
    assert set(np.unique(make_real_grid(collection, ReportParams()))) == {200, 210, 255}
