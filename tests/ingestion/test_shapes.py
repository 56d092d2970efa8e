"""Rectangles, gray images and transparent ones are packed as they are."""

import logging

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.arrays import limit_count
from ganvas.errors import GanvasError
from ganvas.ingestion.class_labels import label_columns
from ganvas.ingestion.collection import read_manifest
from ganvas.ingestion.decode import decode_image
from ganvas.ingestion.file_index import list_files
from ganvas.ingestion.near_duplicates import group_near_duplicates
from ganvas.ingestion.pack_worker import CHUNK_SIZE
from ganvas.ingestion.packing import PackParams, _fingerprint, pack
from odd_collections import draw_line_art, draw_photos, draw_sprite, draw_sprites

NONE = pd.DataFrame({"path": [], "reason": []}, dtype="str")


def listing(raw):
    records = pd.DataFrame(list_files(raw), columns=["path", "bytes", "modified_ns"])
    return records.sort_values("path", ignore_index=True)


def pack_all(raw, folder, **params):
    return pack(listing(raw), NONE, raw, folder, PackParams(workers=1, **params))


@pytest.mark.parametrize(
    ("draw", "params", "shape"),
    [
        (draw_photos, {"size": [96, 64]}, (96, 64, 3)),
        (draw_line_art, {"channels": "gray"}, (64, 64, 1)),
        (draw_sprites, {"channels": "rgba"}, (64, 64, 4)),
    ],
)
def test_collections_of_every_shape_are_packed(draw, params, shape, tmp_path, caplog):
    raw = draw(tmp_path / "raw", 12)
    collection = pack_all(raw, tmp_path / "packed", **params)
    assert collection.images.shape == (12, *shape)
    expected = [decode_image(raw / path, shape).pixels for path in collection.index["path"]]
    assert np.array_equal(collection.images[:], np.stack(expected))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert collection.images[:].std((1, 2)).mean() > 10


def test_rectangles_are_those_of_pillow_however_a_photo_is_stored(tmp_path):
    raw = draw_photos(tmp_path, 5)
    turned = Image.open(raw / "photo004.jpg")
    assert turned.width > turned.height
    for name in ("photo000.jpg", "photo004.jpg"):
        ours = decode_image(raw / name, (96, 64, 3)).pixels.astype(int)
        image = Image.open(raw / name)
        image = image.transpose(Image.Transpose.ROTATE_270) if name == "photo004.jpg" else image
        width = min(image.width, image.height * 2 / 3)
        height = min(image.height, image.width * 3 / 2)
        left, top = (image.width - width) / 2, (image.height - height) / 2
        box = (left, top, left + width, top + height)
        expected = np.asarray(image.resize((64, 96), Image.Resampling.LANCZOS, box=box))
        # Files of twice the size are decoded at half of it, which averages squares of pixels.
        assert np.abs(ours - expected).mean() <= 1


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_photos_are_reduced_to_three_times_the_rectangle(orientation, tmp_path):
    """Lying in the file, height and width of the rectangle are exchanged."""
    y, x = np.mgrid[:1800, :1200] / 100
    waves = np.stack([np.sin(x), np.cos(y * 1.3), np.sin(x + y)], -1)
    upright = Image.fromarray(((waves + 1) * 127).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = upright if orientation == 1 else upright.transpose(Image.Transpose.ROTATE_90)
    image.save(tmp_path / "a.jpg", quality=95, exif=exif)
    expected = np.asarray(upright.crop((300, 0, 900, 1800)).resize((32, 96), 1)).astype(int)
    ours = decode_image(tmp_path / "a.jpg", (96, 32, 3))
    assert np.abs(ours.pixels - expected).mean() < 1.5
    assert ours.size == (1200, 1800)


def test_stretched_images_keep_their_sizes_in_the_index(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    sizes = [(150, 100), (160, 100), (300, 100), (90, 100)]
    for number, size in enumerate(sizes):
        Image.effect_noise(size, 80).convert("RGB").save(raw / f"{number}.png")
    (raw / "x.png").write_text("no image")
    params = {"crop": "stretch", "max_rejected_share": 0.5}
    collection = pack_all(raw, tmp_path / "packed", **params)
    index = collection.index
    assert list(zip(index["original_width"], index["original_height"], strict=True)) == sizes
    assert label_columns(index) == [] and index["original_width"].dtype == np.int64
    assert read_manifest(tmp_path / "packed")["aspect"] == 1.55
    # Unchanged, it is not packed again, and other crops have no such columns.
    assert pack_all(raw, tmp_path / "packed", **params).index.equals(index)
    assert read_manifest(tmp_path / "packed")["aspect"] == 1.55
    other = pack_all(raw, tmp_path / "packed", max_rejected_share=0.5)
    assert "original_width" not in other.index and "aspect" not in read_manifest(
        tmp_path / "packed"
    )
    records = listing(raw).assign(original_width="1")
    with pytest.raises(GanvasError, match=r"column original_width, which ingest\.crop=stretch"):
        pack(records, NONE, raw, tmp_path / "packed", PackParams(**params))


def test_enlarged_images_are_counted_in_one_warning(tmp_path, caplog):
    raw = tmp_path / "raw"
    raw.mkdir()
    for number, side in enumerate([40, 50, 128, 300]):
        Image.effect_noise((side, 2 * side), 80).convert("RGB").save(raw / f"{number}.jpg")
    pack_all(raw, tmp_path / "packed", size=[96, 64])
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith(
        "2 of 4 images (50 %), such as 0.jpg, have fewer pixels than 64×96 and are enlarged, by "
        "1.4 times in the median"
    )
    caplog.clear()
    pack_all(raw, tmp_path / "padded", size=[96, 64], crop="pad")
    assert "1 of 4 images (25 %), such as 0.jpg" in caplog.text


def test_the_background_changes_the_fingerprint_only_where_it_is_set(tmp_path):
    records = listing(draw_sprites(tmp_path, 2))
    before = _fingerprint(records, PackParams())
    assert _fingerprint(records, PackParams(background="#ffffff", channels="rgb")) == before
    assert _fingerprint(records, PackParams(background="black")) != before


def test_copies_of_sprites_and_drawings_are_found_but_no_others(tmp_path):
    sprites = [draw_sprite(np.random.default_rng([2, n])).resize((64, 64)) for n in range(20)]
    # White figures, which differ in their shape alone, and a larger copy of the first.
    white = Image.new("L", (64, 64), 255)
    shapes = [Image.merge("RGBA", [white] * 3 + [sprite.getchannel("A")]) for sprite in sprites]
    copy = shapes[0].resize((150, 150)).resize((64, 64))
    for images, channels in (([*sprites, sprites[0]], 4), ([*shapes, copy], 4)):
        groups = group_near_duplicates(np.stack([np.asarray(image) for image in images]))
        assert groups.tolist() == [*range(20), 0] and channels == 4
    raw = draw_line_art(tmp_path, 20)
    names = sorted(path.name for path in raw.iterdir())
    drawings = [decode_image(raw / name, (64, 64, 1)).pixels for name in names]
    lighter = (drawings[3].astype(int) * 254 // 255).astype(np.uint8)
    assert group_near_duplicates(np.stack([*drawings, lighter])).tolist() == [*range(20), 3]


def test_chunks_of_large_images_have_fewer_files():
    assert limit_count(CHUNK_SIZE, (32, 32, 1)) == limit_count(CHUNK_SIZE, (256, 256, 3)) == 64
    for shape in ((512, 512, 3), (1024, 1024, 4)):
        assert 2**23 < limit_count(CHUNK_SIZE, shape) * np.prod(shape) <= 2**24
