"""Which images the report lays where."""

import keras
import numpy as np
import pandas as pd

from ganvas.ingestion.collection import Collection
from ganvas.pipelines.report.nodes import ReportParams, draw_classes, draw_real

# The gray of each class's real images, and of what is painted for it.
LEVELS = {"a": (10, 64), "b": (20, 128), "c": (30, 191)}


def test_each_class_stands_beside_its_own_images_and_real_ones_are_held_out():
    latents, rows = keras.Input((2,)), keras.Input((3,))
    gray = 0.5 * (rows[:, 2:] - rows[:, :1]) + 0 * latents[:, :1]
    outputs = keras.layers.UpSampling2D(8)(keras.layers.Reshape((1, 1, 1))(gray))
    generator = keras.Model([latents, rows], keras.ops.repeat(outputs, 3, axis=-1))
    levels = [LEVELS[kind][0] for kind in "cabcab"] + [200, 210]
    images = np.full((8, 8, 8, 3), np.reshape(levels, (-1, 1, 1, 1)), np.uint8)
    index = pd.DataFrame({"kind": list("cabcabab"), "hash": list("76543210")})
    index = index.assign(split=["train"] * 6 + ["validation"] * 2)
    collection = Collection(images, index, pd.DataFrame())
    classes = {"column": "kind", "names": ["a", "b", "c"]}
    ((_, sheet),) = draw_classes(generator, classes, collection, ReportParams())
    tops = []
    for pair in LEVELS.values():
        real, painted = (np.flatnonzero((sheet == x).all(-1).any(1)) for x in pair)
        np.testing.assert_array_equal(real, painted)
        assert len(real) == 8
        tops.append(real[0])
    assert tops == sorted(tops)
    assert set(np.unique(draw_real(collection, ReportParams()))) == {200, 210, 255}
