"""Every face of a photograph as an image of its own."""

import matplotlib.cbook
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion import decode, face_alignment
from ganvas.ingestion.class_labels import label_columns
from ganvas.ingestion.collection import read_manifest
from ganvas.ingestion.decode import decode_faces
from ganvas.ingestion.face_alignment import LANDMARKS
from ganvas.ingestion.file_index import list_files
from ganvas.ingestion.packing import PackParams, pack
from ganvas.ingestion.rejection import Rejection
from ganvas.table_schemas import check_index, check_rejected

NONE = pd.DataFrame({"path": [], "reason": []}, dtype="str")
SIZE = 100


@pytest.fixture
def detected(monkeypatch):
    """Detect a face in each square of SIZE pixels whose top left pixel is white."""

    def detect(image: Image.Image) -> np.ndarray:
        corners = np.argwhere(np.asarray(image)[::SIZE, ::SIZE].min(-1) == 255)[:, ::-1] * SIZE
        points = [(LANDMARKS * 0.5 + corner).T.ravel() for corner in corners]
        return np.array(
            [
                [0, *corner, *(corner + 50), 1, *face]
                for corner, face in zip(corners, points, strict=True)
            ]
        )

    monkeypatch.setattr(face_alignment, "_detect", detect)


def photograph(colors, seed=None):
    """Return faces side by side of the given colors; those that are None have none."""
    image = Image.new("RGB", (SIZE * len(colors), SIZE), "gray")
    for number, color in enumerate(colors):
        if color is None:
            continue
        levels = np.full((SIZE, SIZE, 3), color, np.uint8)
        if seed is not None:
            rng = np.random.default_rng([seed, number])
            levels = rng.integers(0, 250, (5, 5, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
        image.paste(Image.fromarray(levels), (SIZE * number, 0))
        image.putpixel((SIZE * number, 0), (255, 255, 255))
    return image


def pack_photographs(raw, folder, **params):
    records = pd.DataFrame(list_files(raw), columns=["path", "bytes", "modified_ns"])
    records = records.sort_values("path", ignore_index=True)
    records["class"] = records["path"].str.partition("/")[0]
    given = PackParams(**{"size": 32, "align": "all_faces", "workers": 1} | params)
    return pack(records, NONE, raw, folder, given)


def test_each_face_is_an_image_with_its_number_from_left_to_right(tmp_path, detected):
    raw = tmp_path / "raw"
    for name, colors in {"a": [50, 90, 130], "b": [170], "c": [None, None]}.items():
        (raw / name).mkdir(parents=True)
        photograph(colors).save(raw / name / "1.png")
    (raw / "b" / "2.png").write_bytes((raw / "a" / "1.png").read_bytes())
    collection = pack_photographs(raw, tmp_path / "packed", max_rejected_share=0.5)
    index = collection.index
    assert list(index) == ["path", "face_number", "class", "hash", "split"]
    assert index["path"].tolist() == ["a/1.png"] * 3 + ["b/1.png"]
    assert index["face_number"].tolist() == [1, 2, 3, 1]
    assert index["class"].tolist() == ["a", "a", "a", "b"] and label_columns(index) == ["class"]
    assert collection.images[:][:, 16, 16, 0].tolist() == [50, 90, 130, 170]
    # Copies of a file and files without a face are rejected once.
    assert collection.rejected.set_index("path")["reason"].to_dict() == {
        "b/2.png": "duplicate of a/1.png",
        "c/1.png": "no face",
    }
    check_index(index)
    check_rejected(collection.rejected)
    again = pack_photographs(raw, tmp_path / "packed", max_rejected_share=0.5)
    assert again.index.equals(index)


def test_all_faces_of_a_file_are_in_one_split_with_copies_of_them(tmp_path, detected):
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in range(12):
        photograph([0] * 3, seed=number).save(raw / f"p{number:02d}.png")
    # Another file with one of its faces, in a slightly other color.
    lighter = np.asarray(photograph([0], seed=7)) // 64 * 64
    copy = Image.blend(photograph([0], seed=7), Image.fromarray(lighter), 0.1)
    copy.putpixel((0, 0), (255, 255, 255))
    copy.save(raw / "q.png")
    shares = {"validation_share": 0.4, "test_share": 0.3}
    collection = pack_photographs(raw, tmp_path / "packed", **shares)
    index = collection.index
    assert len(index) == 37 and index["hash"].is_unique
    assert index["split"].nunique() == 3
    assert (index.groupby("path")["split"].nunique() == 1).all()
    splits = index.drop_duplicates("path").set_index("path")["split"]
    assert splits["q.png"] == splits["p07.png"]
    # Faces of one file are no copies of each other.
    counts = read_manifest(tmp_path / "packed")["near_duplicates"]
    assert (counts["images"], counts["groups"]) == (2, 1)


def test_many_faces_of_few_files_are_packed(tmp_path, detected):
    raw = tmp_path / "raw"
    raw.mkdir()
    colors = list(range(10, 200, 10))
    photograph(colors).save(raw / "a.png")
    collection = pack_photographs(raw, tmp_path / "packed")
    assert collection.images[:][:, 16, 16, 0].tolist() == colors


def test_faces_of_few_pixels_are_left_out(tmp_path, detected):
    photograph([40]).save(tmp_path / "a.png")
    # Aligned, they are enlarged to twice their size, and then reduced to 128 of 178 pixels.
    assert len(decode_faces(tmp_path / "a.png", (128, 128, 3))) == 1
    with pytest.raises(Rejection, match=r"^no face$"):
        decode_faces(tmp_path / "a.png", (256, 256, 3))


@pytest.mark.parametrize("shape", [(96, 64, 3), (64, 96, 1), (64, 64, 4)])
def test_faces_have_every_shape(tmp_path, detected, shape):
    image = photograph([40, 200])
    if shape[2] == 4:  # cut out, above the eyes
        image.putalpha(255)
        image.paste((0, 0, 0, 0), (1, 1, 200, 20))
    image.save(tmp_path / "a.png")
    faces = decode_faces(tmp_path / "a.png", shape)
    assert [face.pixels.shape for face in faces] == [shape, shape]
    assert [face.pixels[shape[0] // 2, shape[1] // 2, 0] for face in faces] == [40, 200]
    # Half the landmarks' scale, so the frame of 178×218 pixels is half as large in the photograph.
    assert [face.size for face in faces] == [(89, 109)] * 2
    if shape[2] == 4:
        assert (faces[0].pixels[:4, 16:48, 3] == 0).any() and faces[0].pixels[48, 32, 3] == 255


def test_large_images_have_faces_of_a_finer_resolution(tmp_path, detected, monkeypatch):
    sizes = []
    crop = decode.crop_image
    monkeypatch.setattr(
        decode, "crop_image", lambda image, *more: (sizes.append(image.size), crop(image, *more))[1]
    )
    photograph([40]).resize((1600, 1600), 0).save(tmp_path / "a.png")
    landmarks = [LANDMARKS * 8 + 100]
    monkeypatch.setattr(face_alignment, "find_all_landmarks", lambda image: landmarks)
    for side in (256, 512):
        decode_faces(tmp_path / "a.png", (side, side, 3))
    assert sizes == [(178, 218), (534, 654)]


def test_a_label_may_not_be_called_like_the_number(tmp_path):
    records = pd.DataFrame({"path": ["a"], "bytes": [1], "modified_ns": [1], "face_number": ["1"]})
    params = PackParams(align="all_faces")
    with pytest.raises(GanvasError, match="have a label column face_number, which ingest"):
        pack(records, NONE, tmp_path, tmp_path / "packed", params)


@pytest.mark.parametrize("numbers", [[1, 1, 1], [1, 3, 1], [2, 1, 1], [1, 2, 2]])
def test_an_index_with_wrong_numbers_is_refused(numbers):
    rows = {"path": ["a", "a", "b"], "split": "train", "hash": [f"{n:032x}" for n in range(3)]}
    index = pd.DataFrame(rows | {"face_number": numbers})
    with pytest.raises(GanvasError, match=r"face_number can't be .: the faces of a file must be"):
        check_index(index)


@pytest.mark.slow
def test_mtcnn_finds_the_faces_of_a_group(tmp_path):
    file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    hopper = Image.open(file).convert("RGB")
    group = Image.new("RGB", (1500, 700), (120, 110, 100))
    for corner, width in [((900, 80), 440), ((40, 300), 220), ((450, 200), 300), ((700, 20), 40)]:
        group.paste(hopper.resize((width, width * 600 // 512)), corner)
    group.save(tmp_path / "group.png")
    faces = decode_faces(tmp_path / "group.png", (64, 64, 3))
    # From left to right; the fourth is too small.
    assert len(faces) == 3 and len({face.hash for face in faces}) == 3
    assert len({face.hash[:8] for face in faces}) == 1
    first = faces[0].pixels.astype(float).ravel()
    for face in faces[1:]:
        assert np.corrcoef(first, face.pixels.astype(float).ravel())[0, 1] > 0.9
