"""Images of other programs: folders, archives and .npz files, also odd and damaged ones."""

import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from ganvas import arrays
from ganvas.errors import GanvasError
from ganvas.ingestion import image_sets
from ganvas.ingestion.decode import decode_image
from ganvas.ingestion.image_sets import SetOptions, open_image_set, read_image_set

KEY = "evaluate.images"
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), np.uint8)


def read(path, tmp_path, positions=None, size=16, crop="center", share=0.25):
    source = open_image_set(path, tmp_path / "cache", KEY)
    positions = np.arange(source.total) if positions is None else np.array(positions)
    return read_image_set(source, positions, SetOptions((size, size, 3), crop, 1e8, share, 1))


def save_npz(path, *args, **arrays):
    np.savez_compressed(path, *args, **arrays)
    return path


@pytest.fixture
def folder(tmp_path):
    """The images as PNG files in two folders, and a text file."""
    top = tmp_path / "dcgan"
    for number, pixels in enumerate(IMAGES):
        file = top / ("waves" if number % 2 else "hills") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    (top / "notes.txt").write_text("made by another program")
    return top


def test_a_folder_has_exactly_its_images_and_their_folders(folder, tmp_path):
    images = read(folder, tmp_path)
    numbers = [int(path.split("/")[1].removesuffix(".png")) for path in images.index["path"]]
    assert sorted(numbers) == list(range(7))
    np.testing.assert_array_equal(images.images, IMAGES[numbers])
    assert images.index["class"].tolist() == ["waves" if k % 2 else "hills" for k in numbers]
    assert images.rejected.values.tolist() == [["notes.txt", "no image: ends in .txt"]]


def test_an_archive_has_the_images_of_the_folder(folder, tmp_path):
    archive = shutil.make_archive(tmp_path / "packed", "gztar", folder.parent, folder.name)
    whole, part = (read(path, tmp_path, [1, 4]) for path in (folder, tmp_path / archive))
    np.testing.assert_array_equal(whole.images, part.images)
    assert whole.index.equals(part.index)


def test_equal_images_all_count(folder, tmp_path):
    for number in range(5):
        shutil.copy(folder / "hills/0.png", folder / f"hills/copy{number}.png")
    assert len(read(folder, tmp_path).images) == 12


@pytest.mark.parametrize(
    ("args", "arrays"),
    [
        ((), {"images": IMAGES, "labels": np.arange(7)}),
        # As the reference batches of published diffusion models.
        ((IMAGES,), {"mu": np.zeros(5), "sigma": np.zeros((5, 5))}),
        ((), {"fakes": IMAGES, "seeds": np.arange(7)}),
        # Never unpickled.
        ((), {"images": IMAGES, "more": np.array([{"a": 1}], dtype=object)}),
    ],
)
def test_an_npz_file_has_the_images_at_any_positions(args, arrays, tmp_path, monkeypatch):
    # Blocks of two images.
    monkeypatch.setattr(image_sets, "BLOCK_BYTES", 2 * 16 * 16 * 3 + 1)
    file = save_npz(tmp_path / "a.npz", *args, **arrays)
    np.testing.assert_array_equal(read(file, tmp_path).images, IMAGES)
    some = read(file, tmp_path, [0, 3, 4, 6])
    np.testing.assert_array_equal(some.images, IMAGES[[0, 3, 4, 6]])
    assert some.index["path"].tolist() == ["0", "3", "4", "6"] and not any(some.index["class"])


def test_many_images_lie_in_a_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MEMORY_BYTES", 100)
    images = read(save_npz(tmp_path / "a.npz", IMAGES), tmp_path).images
    assert isinstance(images, np.memmap)
    np.testing.assert_array_equal(images, IMAGES)


def test_other_sizes_are_cropped_and_resized_as_files_are(folder, tmp_path):
    wide = np.repeat(IMAGES[:1], 2, axis=2)
    file = save_npz(tmp_path / "wide.npz", images=wide)
    Image.fromarray(wide[0]).save(tmp_path / "wide.png")
    (tmp_path / "one").mkdir()
    (tmp_path / "wide.png").rename(tmp_path / "one/wide.png")
    for crop in ("center", "pad"):
        ours = read(file, tmp_path, size=8, crop=crop).images
        np.testing.assert_array_equal(ours, read(tmp_path / "one", tmp_path, None, 8, crop).images)
    assert open_image_set(file, tmp_path, KEY).size == (32, 16)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("wanted", [(32, 16, 3), (16, 32, 1), (16, 16, 4)])
def test_arrays_and_files_of_any_channels_have_the_shape_that_is_asked_for(
    channels, wanted, tmp_path
):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 16, 16, channels), dtype=np.uint8)
    (tmp_path / "files").mkdir()
    for number, pixels in enumerate(images):
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        image.save(tmp_path / "files" / f"{number}.png")
    options = SetOptions(wanted, "center", 1e8, 0, 1, (0, 90, 255))
    for path in (save_npz(tmp_path / "a.npz", images=images), tmp_path / "files"):
        source = open_image_set(path, tmp_path, KEY)
        read = read_image_set(source, np.arange(3), options).images
        assert read.shape == (3, *wanted)
        expected = [
            decode_image(tmp_path / f"files/{number}.png", wanted, background=(0, 90, 255)).pixels
            for number in range(3)
        ]
        np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES / 255}, r"'images' of .* is of type float64, .*astype\('uint8'\)"),
        ({"arr_0": IMAGES.transpose(0, 3, 1, 2)}, r"images\.transpose\(0, 2, 3, 1\)"),
        ({"images": IMAGES[..., :2]}, r"shape \(7, 16, 16, 2\).*one of gray, three of RGB"),
        ({"images": IMAGES[..., 0]}, r"shape \(7, 16, 16\).*images\[\.\.\., None\]"),
        ({"images": IMAGES[:0]}, "8×8 pixels or more"),
        ({"images": IMAGES[:, :5, :5]}, "8×8 pixels or more"),
        ({"a": IMAGES, "b": IMAGES}, r"has the arrays a \(7, 16, 16, 3\), b .*as 'images'"),
        ({"mu": np.zeros(3)}, r"has the arrays mu \(3,\)"),
        ({"images": np.asfortranarray(IMAGES)}, "np.ascontiguousarray"),
        ({"images": np.array([{"a": 1}], dtype=object)}, "is of type object.*images' pixels"),
        ({"images": IMAGES[0]}, r"shape \(16, 16, 3\).*a single image"),
    ],
)
def test_arrays_that_are_no_images_say_what_to_save(arrays, message, tmp_path):
    file = save_npz(tmp_path / "a.npz", **arrays)
    with pytest.raises(GanvasError, match=message):
        open_image_set(file, tmp_path, KEY)


def test_damaged_npz_files_are_refused(tmp_path):
    good = save_npz(tmp_path / "a.npz", images=IMAGES)
    content = good.read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:2000])
    middle = len(content) // 2
    (tmp_path / "flipped.npz").write_bytes(
        content[:middle]
        + bytes(255 - byte for byte in content[middle : middle + 99])
        + content[middle + 99 :]
    )
    # A header that promises terabytes.
    with (
        zipfile.ZipFile(tmp_path / "giant.npz", "w") as archive,
        archive.open("images.npy", "w") as stream,
    ):
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 64, 64, 3)}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(b"0" * 1000)
    for name in ("cut", "flipped", "giant"):
        with pytest.raises(GanvasError, match=f"{name}.npz is damaged, encrypted or incomplete"):
            read(tmp_path / f"{name}.npz", tmp_path)


def test_an_icon_that_is_listed_first_does_not_decide_the_size(folder, tmp_path):
    Image.fromarray(IMAGES[0, :1, :1]).save(folder / "0.png")
    assert open_image_set(folder, tmp_path, KEY).size == (16, 16)
    assert "0.png" in set(read(folder, tmp_path).rejected["path"])


def test_a_photo_that_is_stored_lying_has_its_upright_size(folder, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (48, 32)).save(folder / "0.jpg", exif=exif)
    assert open_image_set(folder, tmp_path, KEY).size == (32, 48)


def test_damaged_files_are_listed_and_too_many_stop(folder, tmp_path):
    (folder / "hills/0.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    images = read(folder, tmp_path)
    assert len(images.images) == 6 and "hills/0.png" in set(images.rejected["path"])
    with pytest.raises(GanvasError, match=r"1 of 7 images of .*\(hills/0\.png: .*max_rejected"):
        read(folder, tmp_path, share=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "x, which does not exist: set it to a folder of images, a ZIP"),
        (lambda path: path.mkdir(), "which has no image: set it to a folder"),
        (lambda path: path.write_bytes(b"text"), "which is no archive: set it to"),
        (lambda path: (path.mkdir(), save_npz(path / "a.npz", IMAGES)), r"set it to .*x/a\.npz"),
    ],
)
def test_what_holds_no_images_is_named(make, message, tmp_path):
    make(tmp_path / "x")
    with pytest.raises(GanvasError, match=f"^{KEY} is .*{message}"):
        open_image_set(tmp_path / "x", tmp_path / "cache", KEY)


def test_errors_of_archives_name_the_parameter(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(GanvasError) as error:
        open_image_set(tmp_path / "a.zip", tmp_path / "cache", KEY)
    assert "ingest.source.path" not in str(error.value)
