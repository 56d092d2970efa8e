import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from ganvas.ingestion.decode import decode_image
from ganvas.ingestion.file_reading import MAX_BYTES
from ganvas.ingestion.rejection import Rejection

RED, BLUE = (220, 30, 20), (20, 40, 200)


def halves(size: tuple[int, int] = (60, 40), left: tuple = RED, right: tuple = BLUE) -> Image.Image:
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, size[0], size[1]))
    return image


def assert_halves(pixels: np.ndarray, tolerance: int = 12) -> None:
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
    for part, color in ((pixels[:, :12], RED), (pixels[:, 20:], BLUE)):
        assert np.abs(part.astype(int) - color).max() <= tolerance


def reason(path: Path) -> str:
    with pytest.raises(Rejection) as caught:
        decode_image(path, (32, 32, 3))
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.tif"])
def test_common_formats(tmp_path, name):
    halves().save(tmp_path / name, **({"quality": 98} if name in ("a.jpg", "a.webp") else {}))
    assert_halves(decode_image(tmp_path / name, (32, 32, 3))[0], tolerance=30)


def test_the_center_square_of_a_wide_image_is_kept(tmp_path):
    wide = Image.new("RGB", (140, 40), "white")
    wide.paste(halves((40, 40)), (50, 0))
    wide.save(tmp_path / "wide.png")
    assert_halves(decode_image(tmp_path / "wide.png", (32, 32, 3))[0])


def test_resizing_is_antialiased(tmp_path):
    checks = (np.indices((512, 512)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checks).save(tmp_path / "checks.png")
    pixels = decode_image(tmp_path / "checks.png", (32, 32, 3)).pixels
    assert np.abs(pixels.astype(int) - 128).max() <= 2


def test_draft_decoding_agrees_with_full_decoding(tmp_path):
    y, x = np.mgrid[:600, :800]
    waves = np.stack([np.sin(x / 31) + np.cos(y / 47), np.sin((x + y) / 53), np.cos(x / 71)], -1)
    full = Image.fromarray(((waves + 2) / 4 * 255).astype(np.uint8))
    full.save(tmp_path / "large.jpg", quality=95)
    expected = Image.open(tmp_path / "large.jpg").crop((100, 0, 700, 600))
    expected = np.asarray(expected.resize((32, 32), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(decode_image(tmp_path / "large.jpg", (32, 32, 3))[0] - expected).mean() < 1.5


def test_exif_orientation_is_applied(tmp_path):
    turned = halves().rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=98, subsampling=0)
    assert_halves(decode_image(tmp_path / "turned.jpg", (32, 32, 3))[0], tolerance=20)


# If a JPEG file has a density, Pillow does not look for one in the EXIF on opening.
OPTIONS = {"quality": 98, "dpi": (72, 72)}


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_an_invalid_exif_header_is_ignored(tmp_path, name):
    halves().save(tmp_path / name, exif=b"Exif\0\0no header at all", **OPTIONS)
    assert_halves(decode_image(tmp_path / name, (32, 32, 3))[0], tolerance=30)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_malformed_exif_tags_do_not_prevent_rotation(tmp_path, name):
    maker = struct.pack("<HHIf", 0x010F, 11, 1, 1.5)  # a number, where a name belongs
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + maker + orientation + bytes(4)
    halves().rotate(90, expand=True).save(tmp_path / name, exif=exif, **OPTIONS)
    assert_halves(decode_image(tmp_path / name, (32, 32, 3))[0], tolerance=30)


def test_every_orientation_equals_exif_transpose(tmp_path):
    image = Image.effect_noise((40, 40), 90)
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image.save(tmp_path / "a.png", exif=exif)
        upright = ImageOps.exif_transpose(Image.open(tmp_path / "a.png")).resize((32, 32), 1)
        assert np.array_equal(decode_image(tmp_path / "a.png", (32, 32, 3))[0][..., 0], upright)


def test_cmyk(tmp_path):
    halves().convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98, subsampling=0)
    assert_halves(decode_image(tmp_path / "cmyk.jpg", (32, 32, 3))[0], tolerance=20)


def swapped_profile() -> bytes:
    """Return the sRGB profile with red and blue primaries swapped."""
    content = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    table = content[128:400]
    table = table.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    return content[:128] + table + content[400:]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_color_profiles_are_converted(tmp_path, mode):
    halves(left=(255, 0, 0), right=(0, 0, 255)).convert(mode).save(
        tmp_path / "a.png", icc_profile=swapped_profile()
    )
    pixels = decode_image(tmp_path / "a.png", (32, 32, 3)).pixels
    assert np.abs(pixels[:, :12].astype(int) - (0, 0, 255)).max() <= 3
    assert np.abs(pixels[:, 20:].astype(int) - (255, 0, 0)).max() <= 3


def test_an_invalid_profile_is_ignored(tmp_path):
    halves().save(tmp_path / "a.png", icc_profile=b"nothing that a profile would say")
    assert_halves(decode_image(tmp_path / "a.png", (32, 32, 3))[0])


@pytest.mark.parametrize("upright", [False, True])
def test_crops_of_a_long_image(tmp_path, upright):
    long = Image.new("RGB", (160, 40), BLUE)
    long.paste(Image.effect_noise((40, 40), 200).convert("RGB"), (110, 0))
    (long.transpose(Image.Transpose.TRANSPOSE) if upright else long).save(tmp_path / "long.png")
    crops = {
        crop: decode_image(tmp_path / "long.png", (32, 32, 3), crop)[0].astype(int)
        for crop in ("center", "smart", "pad")
    }
    if upright:
        crops = {crop: pixels.transpose(1, 0, 2) for crop, pixels in crops.items()}
    assert np.abs(crops["center"] - BLUE).max() <= 6
    noisy = np.abs(crops["smart"] - BLUE).max((0, 2)) > 30
    assert noisy.mean() > 0.9
    assert (crops["pad"][:10] == 255).all() and (crops["pad"][22:] == 255).all()
    assert np.abs(crops["pad"][14:18, :20] - BLUE).max() <= 6


def test_the_smart_crop_of_a_plain_image_is_its_center(tmp_path):
    Image.new("RGB", (90, 40), RED).save(tmp_path / "plain.png")
    assert (decode_image(tmp_path / "plain.png", (32, 32, 3), "smart")[0] == RED).all()


@pytest.mark.parametrize("size", [(900, 8), (8, 900), (40, 40), (41, 40)])
@pytest.mark.parametrize("crop", ["center", "smart", "pad"])
def test_every_shape_can_be_cropped(tmp_path, size, crop):
    Image.effect_noise(size, 90).convert("RGB").save(tmp_path / "shape.png")
    assert decode_image(tmp_path / "shape.png", (32, 32, 3), crop)[0].shape == (32, 32, 3)


def test_grayscale(tmp_path):
    Image.new("L", (40, 40), 100).save(tmp_path / "gray.png")
    assert (decode_image(tmp_path / "gray.png", (32, 32, 3))[0] == 100).all()


def test_sixteen_bit_gray_is_scaled_not_clipped(tmp_path):
    Image.fromarray(np.full((40, 40), 100 * 257, np.uint16)).save(tmp_path / "deep.png")
    assert (decode_image(tmp_path / "deep.png", (32, 32, 3))[0] == 100).all()


def test_a_transparent_palette_is_composited_on_white(tmp_path):
    layer = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    layer.paste((220, 30, 20, 255), (0, 0, 20, 40))
    layer.quantize(4).save(tmp_path / "palette.png")
    pixels = decode_image(tmp_path / "palette.png", (32, 32, 3)).pixels
    assert np.abs(pixels[:, :12].astype(int) - RED).max() <= 3
    assert (pixels[:, 20:] >= 252).all()


def test_truncated_jpeg(tmp_path):
    buffer = io.BytesIO()
    Image.effect_noise((200, 200), 80).convert("RGB").save(buffer, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[: buffer.tell() // 2])
    assert reason(tmp_path / "cut.jpg") == "truncated"


def test_text_named_as_image(tmp_path):
    (tmp_path / "note.jpg").write_text("not an image at all")
    assert reason(tmp_path / "note.jpg") == "not an image"


def test_empty_file(tmp_path):
    (tmp_path / "empty.png").touch()
    assert reason(tmp_path / "empty.png") == "empty file"


def test_missing_file(tmp_path):
    assert reason(tmp_path / "gone.png").startswith("can't be read")


def test_a_name_that_is_too_long(tmp_path):
    assert reason(tmp_path / ("long" * 99 + ".png")) == "can't be read: File name too long"


def test_a_file_of_excessive_size_is_not_read(tmp_path):
    with (tmp_path / "film.jpg").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert reason(tmp_path / "film.jpg") == f"too large to read: {MAX_BYTES + 1} bytes"


def test_a_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "not a file"


def test_no_external_program_decodes_a_file(tmp_path):
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n{} loop\n"
    (tmp_path / "x.jpg").write_bytes(program)
    assert reason(tmp_path / "x.jpg").startswith("not an image but a PostScript file")


def test_a_link_to_itself(tmp_path):
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert reason(tmp_path / "loop.jpg").startswith("can't be read")


def test_random_corruption_is_only_ever_a_rejection(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a.png", "a.jpg", "a.gif", "a.tif", "a.webp"):
        Image.effect_noise((40, 40), 60).convert("RGB").save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for _ in range(60):
            content = bytearray(whole)
            for position in rng.integers(0, len(content), 8):
                content[position] = rng.integers(256)
            (tmp_path / name).write_bytes(content[: rng.integers(1, len(content) + 1)])
            try:
                assert decode_image(tmp_path / name, (32, 32, 3))[0].shape == (32, 32, 3)
            except Rejection as rejection:
                assert str(rejection)


def test_too_small(tmp_path):
    Image.new("RGB", (7, 300)).save(tmp_path / "thin.png")
    assert reason(tmp_path / "thin.png") == "too small: 7×300 pixels"


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_decompression_bomb(tmp_path, side):
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = side.to_bytes(4) * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    (tmp_path / "bomb.png").write_bytes(content)
    megapixels = side**2 // 10**6
    assert reason(tmp_path / "bomb.png") == (
        f"too large to decode safely: {megapixels} megapixels, more than 90; make it smaller, or "
        "raise ingest.max_megapixels"
    )


def test_hash_depends_on_content_alone(tmp_path):
    halves().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    halves(left=BLUE).save(tmp_path / "c.png")
    a, b, c = (decode_image(tmp_path / f"{name}.png", (32, 32, 3))[1] for name in "abc")
    assert a == b != c


def test_a_jpeg_of_hundreds_of_scans_is_rejected(tmp_path):
    """Each scan takes the time of the whole image, so a small file could take hours."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    (tmp_path / "a.jpg").write_bytes(content)
    assert decode_image(tmp_path / "a.jpg", (32, 32, 3)).pixels.shape == (32, 32, 3)
    last = content[content.rindex(b"\xff\xda") : -2]
    (tmp_path / "b.jpg").write_bytes(content[:-2] + last * 200 + content[-2:])
    with pytest.raises(Rejection, match="a JPEG of more than 100 scans"):
        decode_image(tmp_path / "b.jpg", (32, 32, 3))
