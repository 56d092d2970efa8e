import threading

import numpy as np
import pytest

from ganvas.cpu_count import count_cpus
from ganvas.errors import GanvasError
from ganvas.ingestion import encoded_shards
from ganvas.ingestion.encoded_shards import (
    EncodedImages,
    decode_pixels,
    encode_pixels,
    write_encoded_shard,
)
from ganvas.ingestion.shards import find_storage, open_shards

SHAPE = (6, 4, 4)
ALL = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), dtype=np.uint8)
BOUNDS = [(0, 7), (7, 7), (7, 8), (8, 20)]


def encode(images: np.ndarray) -> EncodedImages:
    contents = [encode_pixels(image) for image in images]
    lengths = np.array([len(content) for content in contents], np.int64)
    return EncodedImages(np.frombuffer(b"".join(contents), np.uint8), lengths)


@pytest.fixture
def folder(tmp_path):
    """Four shards of ALL, one of them empty."""
    for number, (first, last) in enumerate(BOUNDS):
        parts = [encode(ALL[first:last][:3]), encode(ALL[first:last][3:])]
        write_encoded_shard(tmp_path / f"images-{number:05d}.webps", parts, SHAPE)
    return tmp_path


def draw(shape: tuple[int, int, int]) -> np.ndarray:
    """A gradient, noise and plain areas; in RGBA opaque, clear and between, colored under it."""
    rng = np.random.default_rng(sum(shape))
    image = np.zeros(shape, np.uint8)
    image[..., 0] = np.linspace(0, 255, shape[1]).astype(np.uint8)
    image[: shape[0] // 2] = rng.integers(0, 256, (shape[0] // 2, *shape[1:]), dtype=np.uint8)
    if shape[2] == 4:
        image[::3, :, 3] = 0
        image[1::3, :, 3] = 255
    return image


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [(32, 32), (96, 64), (32, 160), (256, 256)])
def test_images_are_decoded_exactly(side, channels):
    shape = (*side, channels)
    opaque = np.full(shape, 255, np.uint8)
    opaque[..., 0] = draw(shape)[..., 0]
    clear = draw(shape)
    clear[..., -1] = 0
    for image in (draw(shape), opaque, clear, np.full(shape, 7, np.uint8)):
        decoded = decode_pixels(encode_pixels(image), shape)
        assert decoded.dtype == np.uint8 and decoded.shape == shape
        assert np.array_equal(decoded, image)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_content_of_another_size_or_kind_is_refused(channels):
    with pytest.raises(ValueError, match="32×64 pixels"):
        decode_pixels(encode_pixels(np.zeros((64, 32, channels), np.uint8)), (64, 64, channels))
    with pytest.raises(ValueError, match="cannot identify"):
        decode_pixels(b"no image", (64, 64, channels))


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(7),
        slice(None),
        slice(None, None, -3),
        slice(25, 30),
        np.array([19, 0, 7, 7, 8, 6]),
        np.array([-1, -20]),
        np.array([], np.int64),
        [3, 12],
    ],
    ids=str,
)
def test_indexing_is_that_of_one_array(folder, key):
    images = open_shards(folder)
    assert images.shape == ALL.shape and find_storage(folder) == "encoded"
    assert np.array_equal(images[key], ALL[key])
    assert images[key].dtype == np.uint8


def test_stored_bytes_are_those_of_the_files(folder):
    expected = sum(file.stat().st_size for file in folder.glob("*.webps"))
    assert open_shards(folder).stored_bytes == expected > 0


def test_bytes_do_not_depend_on_the_parts(folder, tmp_path):
    other = tmp_path / "other" / "images-00003.webps"
    write_encoded_shard(other, map(encode, np.split(ALL[8:], [1, 1, 9])), SHAPE)
    for name in ("images-00003.webps", "images-00003.offsets.npz"):
        assert (folder / name).read_bytes() == other.with_name(name).read_bytes()


def test_an_image_takes_the_memory_of_one_core_until_it_is_in_the_result(folder, monkeypatch):
    lock, running, most, decode = threading.Lock(), [0], [0], decode_pixels

    def count(content, shape):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        image = decode(content, shape)
        with lock:
            running[0] -= 1
        return image

    monkeypatch.setattr(encoded_shards, "decode_pixels", count)
    positions = np.random.default_rng(0).integers(0, 20, 500)
    assert np.array_equal(open_shards(folder)[positions], ALL[positions])
    assert 1 <= most[0] <= count_cpus()


def test_an_open_collection_is_read_after_its_folder_was_replaced(folder):
    images = open_shards(folder)
    folder.rename(folder.with_name("old"))
    assert np.array_equal(images[[1, 19]], ALL[[1, 19]])


def test_a_damaged_image_is_named_and_others_are_read(folder):
    file = folder / "images-00003.webps"
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    images = open_shards(folder)
    assert np.array_equal(images[:19], ALL[:19])
    sentence = r"Image 11 of .*images-00003\.webps is damaged \(its checksum differs\): delete the "
    with pytest.raises(GanvasError, match=sentence + r"folder .*, and pack the images again by `"):
        images[np.array([2, 19, 4])]
    with pytest.raises(GanvasError, match="Image 11"):
        images[19]


@pytest.mark.parametrize("name", ["images-00003.webps", "images-00003.offsets.npz"])
@pytest.mark.parametrize("length", [0, -1, None])
def test_a_truncated_or_missing_file_is_an_error_on_opening(folder, name, length):
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if length is not None:
        (folder / name).write_bytes(content[:length])
    with pytest.raises(GanvasError, match=rf"{name} .*: pack the images again by `kedro run"):
        open_shards(folder)


def test_a_file_truncated_after_opening_is_an_error(folder):
    images = open_shards(folder)
    with (folder / "images-00000.webps").open("r+b") as stream:
        stream.truncate(30)
    with pytest.raises(GanvasError, match=r"images-00000\.webps is damaged"):
        images[6]


def test_an_error_while_writing_leaves_no_shard(tmp_path):
    def parts():
        yield encode(ALL[:5])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_encoded_shard(tmp_path / "images-00000.webps", parts(), SHAPE)
    with pytest.raises(FileNotFoundError):
        open_shards(tmp_path)


def test_without_webp_the_error_says_what_to_do(folder, monkeypatch):
    monkeypatch.setattr(encoded_shards.features, "check", lambda name: name != "webp")
    with pytest.raises(GanvasError, match=r"without: install Pillow .* set ingest\.storage=raw"):
        open_shards(folder)
