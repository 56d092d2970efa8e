"""Images of many megapixels are decoded small where their format can, else rejected."""

import io

import numpy as np
import pytest
from PIL import Image

from ganvas.ingestion import decode
from ganvas.ingestion.decode import decode_content, decode_image
from ganvas.ingestion.rejection import Rejection

MILLION = 10**6


def encode(side: int, form: str, **options) -> bytes:
    levels = (np.indices((side, side)) * 255 // side).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([*levels, levels[0]])).save(buffer, form, **options)
    return buffer.getvalue()


def assert_shows_gradient(pixels: np.ndarray) -> None:
    expected = np.indices((32, 32)) * 8 + 4
    assert np.abs(pixels[..., :2].transpose(2, 0, 1) - expected).mean() < 3


@pytest.mark.slow
def test_a_jpeg_of_more_than_the_limit_is_decoded_at_an_eighth():
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((10_000, 10_000)).save(buffer, "JPEG", quality=30)
    pixels = decode_content(buffer.getvalue(), (32, 32, 3))
    assert np.abs(pixels[..., 0] - (np.arange(32) * 8 + 3.5)[:, None]).mean() < 3


@pytest.mark.parametrize(("form", "side"), [("JPEG", 2000), ("JPEG2000", 1100)])
def test_formats_of_several_scales(form, side):
    content = encode(side, form)
    assert_shows_gradient(decode_content(content, (32, 32, 3), most=0.1 * MILLION))
    with pytest.raises(Rejection, match="too large to decode safely: "):
        decode_content(content, (512, 512, 3), most=0.1 * MILLION)


def test_progressive_jpeg_has_a_limit_of_its_own(monkeypatch):
    content = encode(1500, "JPEG", progressive=True)
    assert_shows_gradient(decode_content(content, (32, 32, 3), most=1.2 * MILLION))
    monkeypatch.setattr(decode, "MAX_PROGRESSIVE_PIXELS", MILLION)
    with pytest.raises(Rejection, match=r"2\.25 progressive megapixels, more than 2$"):
        decode_content(content, (32, 32, 3), most=MILLION)
    assert_shows_gradient(decode_content(encode(1500, "JPEG"), (32, 32, 3), most=MILLION))


def test_the_reason_names_the_parameter(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(1100, "PNG"))
    reason = "1.21 megapixels, more than 1; make it smaller, or raise ingest.max_megapixels"
    with pytest.raises(Rejection, match=f"^too large to decode safely: {reason}$"):
        decode_image(tmp_path / "a.png", (32, 32, 3), max_pixels=MILLION)
    assert_shows_gradient(
        decode_image(tmp_path / "a.png", (32, 32, 3), max_pixels=1.3 * MILLION).pixels
    )


def test_a_raised_limit_lifts_that_of_pillow(monkeypatch):
    content = encode(1100, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", MILLION // 2)
    assert_shows_gradient(decode_content(content, (32, 32, 3)))
