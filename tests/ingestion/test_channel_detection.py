"""Which channels suit the images of a folder."""

import numpy as np
import pytest
from PIL import Image

from ganvas.ingestion import channel_detection
from ganvas.ingestion.channel_detection import detect_channels
from odd_collections import draw_line_art, draw_photos, draw_sprites


def detect(folder):
    return detect_channels(folder, sorted(path.name for path in folder.iterdir()))


@pytest.mark.parametrize(
    ("draw", "channels"), [(draw_photos, "rgb"), (draw_line_art, "gray"), (draw_sprites, "rgba")]
)
def test_drawn_collections(draw, channels, tmp_path):
    found = detect(draw(tmp_path, 20))
    assert found.channels == channels
    assert found.reason.startswith("20 of 20 images looked at" if channels != "rgb" else "")


def test_gray_photos_saved_in_color_are_gray_and_sepia_is_color(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("gray", "sepia"):
        (tmp_path / name).mkdir()
    for number in range(20):
        levels = Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).resize((120, 90), 3)
        levels.convert("RGB").save(tmp_path / "gray" / f"{number}.jpg", quality=70)
        tones = [levels.point(lambda level, f=f: level * f) for f in (1, 0.85, 0.7)]
        Image.merge("RGB", tones).save(tmp_path / "sepia" / f"{number}.jpg", quality=70)
    assert detect(tmp_path / "gray").channels == "gray"
    assert detect(tmp_path / "sepia").channels == "rgb"


def test_an_alpha_channel_without_transparency_and_few_sprites_are_rgb(tmp_path):
    draw_photos(tmp_path, 12)
    draw_sprites(tmp_path, 11)
    for path in tmp_path.glob("photo*"):
        with Image.open(path) as image:
            image.convert("RGBA").save(path.with_suffix(".png"))
        path.unlink()
    assert detect(tmp_path).channels == "rgb"


def test_few_files_are_decoded_and_damaged_ones_left_out(tmp_path, monkeypatch):
    draw_photos(tmp_path, 40)
    (tmp_path / "photo000.jpg").write_text("no image")
    decoded = []

    def decode(path, *options):
        decoded.append(path)
        return original(path, *options)

    original = channel_detection.decode_image
    monkeypatch.setattr(channel_detection, "decode_image", decode)
    assert detect(tmp_path).channels == "rgb"
    assert len(decoded) <= 4
    decoded.clear()
    assert detect(draw_line_art(tmp_path / "lines", 20)).channels == "gray" and not decoded
