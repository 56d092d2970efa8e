"""Gray, color and transparency of decoded files of all kinds."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from ganvas.ingestion.color_conversion import check_color, read_color
from ganvas.ingestion.decode import ONE_LEVEL, decode_content, decode_image

COLOR, ALPHA = (200, 40, 90), 102
HIDDEN = (0, 255, 0)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def layer() -> Image.Image:
    """Return an image whose left half is visible and the right one fully transparent."""
    image = Image.new("RGBA", (40, 40), (*HIDDEN, 0))
    image.paste((*COLOR, 255), (0, 0, 20, 40))
    return image


def palette(alpha: int) -> bytes:
    image = Image.new("P", (40, 40), 1)
    image.paste(0, (0, 0, 20, 40))
    image.putpalette([*COLOR, *HIDDEN])
    return encode(image, "PNG", transparency=bytes([alpha, 0]))


@pytest.mark.parametrize(
    "content",
    [
        encode(layer(), "PNG"),
        encode(layer(), "WEBP", lossless=True),
        encode(layer(), "TIFF"),
        encode(layer(), "GIF"),
        palette(255),
        encode(layer().convert("RGB"), "PNG", transparency=HIDDEN),
        encode(layer().convert("RGBa").convert("RGBA"), "TIFF"),
    ],
    ids=["PNG", "WebP", "TIFF", "GIF", "palette", "tRNS", "black below"],
)
def test_transparency_of_every_format(content):
    rgba = decode_content(content, (32, 32, 4), background=(9, 8, 7)).astype(int)
    assert np.abs(rgba[:, :14] - (*COLOR, 255)).max() <= 3
    assert (rgba[:, 18:] == (9, 8, 7, 0)).all()
    rgb = decode_content(content, (32, 32, 3), background=(9, 8, 7)).astype(int)
    assert np.abs(rgb[:, :14] - COLOR).max() <= 3 and np.abs(rgb[:, 18:] - (9, 8, 7)).max() <= 1
    gray = decode_content(content, (32, 32, 1), background=(250, 250, 250)).astype(int)
    luma = Image.new("RGB", (1, 1), COLOR).convert("L").getpixel((0, 0))
    assert np.abs(gray[:, :14] - luma).max() <= 3 and np.abs(gray[:, 18:] - 250).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "L"])
def test_gray_with_transparency(mode):
    image = Image.new("LA", (40, 40), (90, 0))
    image.paste((160, ALPHA), (0, 0, 20, 40))
    content = encode(image, "PNG")
    expected = ALPHA
    if mode == "L":  # one level is transparent
        content, expected = encode(image.convert("L"), "PNG", transparency=90), 255
    rgba = decode_content(content, (32, 32, 4)).astype(int)
    assert np.abs(rgba[:, :14] - (160, 160, 160, expected)).max() <= 1
    assert (rgba[:, 18:] == (255, 255, 255, 0)).all()


def test_half_transparent_colors_are_straight_and_composited_alike():
    content = encode(Image.new("RGBA", (40, 40), (*COLOR, ALPHA)), "PNG")
    assert (decode_content(content, (32, 32, 4)) == (*COLOR, ALPHA)).all()
    rgb = decode_content(content, (32, 32, 3), background=(0, 0, 255)).astype(int)
    expected = [
        a * ALPHA / 255 + b * (1 - ALPHA / 255) for a, b in zip(COLOR, (0, 0, 255), strict=True)
    ]
    assert np.abs(rgb - expected).max() <= 1


def test_16_bit_rgba_png():
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    levels = [v * 257 for v in (*COLOR, ALPHA)]
    rows = (b"\0" + struct.pack(">4H", *levels) * 40) * 40
    head = struct.pack(">2I5B", 40, 40, 16, 6, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    content += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert (decode_content(content, (32, 32, 4)) == (*COLOR, ALPHA)).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK"])
def test_opaque_images_have_full_alpha_and_pillows_gray(mode):
    image = Image.effect_noise((40, 40), 90).convert(mode)
    content = encode(image, "TIFF")
    rgba = decode_content(content, (32, 32, 4))
    assert (rgba[..., 3] == 255).all()
    assert np.array_equal(rgba[..., :3], decode_content(content, (32, 32, 3)))
    gray = decode_content(content, (32, 32, 1))
    expected = image.convert("RGB").convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    assert np.abs(gray[..., 0].astype(int) - np.asarray(expected)).max() <= 1


def test_gray_is_taken_after_the_color_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    table = profile[128:400].replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ")
    swapped = profile[:128] + table.replace(b"????", b"gXYZ") + profile[400:]
    for image in (Image.new("RGB", (40, 40), (0, 255, 0)), layer().convert("RGB")):
        content = encode(image, "PNG", icc_profile=swapped)
        color = Image.fromarray(decode_content(content, (32, 32, 3)))
        gray = decode_content(content, (32, 32, 1))[..., 0]
        assert np.abs(gray.astype(int) - np.asarray(color.convert("L"))).max() <= 1
    # Green of the file is red.
    content = encode(Image.new("RGB", (40, 40), (0, 255, 0)), "PNG", icc_profile=swapped)
    assert abs(int(decode_content(content, (32, 32, 1)).mean()) - 76) <= 3
    content = encode(Image.new("RGBA", (40, 40), (0, 255, 0, 128)), "PNG", icc_profile=swapped)
    red = decode_content(content, (32, 32, 4)).astype(int)
    assert np.abs(red - (255, 0, 0, 128)).max() <= 3
    mixed = decode_content(content, (32, 32, 3), background=(0, 0, 255)).astype(int)
    assert np.abs(mixed - (128, 0, 127)).max() <= 3


@pytest.mark.parametrize(
    ("color", "is_plain"), [((255, 255, 255), False), ((0, 0, 0), False), ((90, 90, 90), True)]
)
def test_plain_silhouettes_are_not_of_one_level(color, is_plain, tmp_path):
    image = Image.new("RGBA", (40, 40), (*color, 255))
    if not is_plain:
        image.paste((*color, 0), (0, 0, 40, 20))
    image.save(tmp_path / "a.png")
    assert (decode_image(tmp_path / "a.png", (32, 32, 4)).note == ONE_LEVEL) == is_plain
    image.convert("L").save(tmp_path / "a.png")
    assert decode_image(tmp_path / "a.png", (32, 32, 1)).note == ONE_LEVEL


def test_equal_colors_are_written_alike():
    assert {check_color(text) for text in ("white", "#fff", "#FFFFFF", "rgb(255,255,255)")} == {
        "white"
    }
    assert check_color("Navy") == "#000080" and read_color("navy") == (0, 0, 128)


@pytest.mark.parametrize(
    "color", ["whiteish", "#12345", "#11223344", 255, None, "", "rgba(1,2,3,4)", "rgb(300,0,0)"]
)
def test_other_colors_are_refused(color):
    with pytest.raises(ValueError, match="it must be a color: a name such as white, or #rrggbb"):
        check_color(color)
