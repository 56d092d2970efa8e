import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.celeba import CelebaParams, read_celeba

ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
LISTS = {
    ATTRIBUTES: (
        b"3\r\nSmiling Young \r\n000001.jpg -1  1\r\n000002.jpg  1 -1 \r\n000009.jpg  1  1\r\n"
    ),
    PARTITION: b"000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n000009.jpg 2\n",
}
KAGGLE = {
    "list_attr_celeba.csv": (
        b"image_id,Smiling,Young\n000001.jpg,-1,1\n000002.jpg,1,-1\n000009.jpg,1,1\n"
    ),
    "list_eval_partition.csv": (
        b"image_id,partition\n000001.jpg,0\n000002.jpg,1\n000003.jpg,2\n000009.jpg,2\n"
    ),
}
LABELED = [["000001.jpg", "no", "yes", "train"], ["000002.jpg", "yes", "no", "validation"]]


def build(folder, lists, below="img_align_celeba"):
    (folder / below).mkdir(parents=True)
    for number in (2, 1, 3):
        (folder / below / f"00000{number}.jpg").write_bytes(b"face")
    for name, raw in lists.items():
        (folder / name).write_bytes(raw)
    return folder


@pytest.mark.parametrize("below", ["img_align_celeba", "img_align_celeba/img_align_celeba"])
@pytest.mark.parametrize("lists", [LISTS, KAGGLE])
def test_attributes_are_yes_or_no_and_the_split_comes_from_the_partition(tmp_path, lists, below):
    folder = build(tmp_path, lists, below)
    records, skipped = read_celeba(folder, CelebaParams(lists=True))
    assert list(records) == ["path", "bytes", "modified_ns", "Smiling", "Young", "split"]
    labeled = [[f"{below}/{name}", *labels] for name, *labels in LABELED]
    assert records.drop(columns=["bytes", "modified_ns"]).values.tolist() == labeled
    attributes = next(iter(lists))
    assert dict(skipped.values.tolist()) == {
        f"{below}/000003.jpg": f"no label: not in {attributes}",
        f"{below}/000009.jpg": f"named in {attributes} but not found",
    }


def test_only_the_attributes(tmp_path):
    records, _ = read_celeba(build(tmp_path, {ATTRIBUTES: LISTS[ATTRIBUTES]}), CelebaParams())
    assert list(records) == ["path", "bytes", "modified_ns", "Smiling", "Young"]


def test_only_the_partition(tmp_path):
    records, skipped = read_celeba(build(tmp_path, {PARTITION: LISTS[PARTITION]}), CelebaParams())
    assert list(records) == ["path", "bytes", "modified_ns", "split"]
    assert list(records["split"]) == ["train", "validation", "test"]
    assert list(skipped["path"]) == ["img_align_celeba/000009.jpg"]


@pytest.mark.parametrize("below", ["img_celeba", "img_celeba/img_celeba"])
def test_the_unaligned_images_have_the_same_lists(tmp_path, below):
    folder = build(tmp_path, LISTS, below)
    records, _ = read_celeba(folder, CelebaParams(images="img_celeba", lists=True))
    labeled = [[f"{below}/{name}", *labels] for name, *labels in LABELED]
    assert records.drop(columns=["bytes", "modified_ns"]).values.tolist() == labeled
    with pytest.raises(GanvasError, match=r"No image .*img_align_celeba"):
        read_celeba(folder, CelebaParams())


def test_a_face_without_a_split_is_skipped(tmp_path):
    lists = LISTS | {PARTITION: b"000001.jpg 0\n"}
    records, skipped = read_celeba(build(tmp_path, lists), CelebaParams())
    assert list(records["path"]) == ["img_align_celeba/000001.jpg"]
    reasons = dict(skipped.values.tolist())
    assert reasons["img_align_celeba/000002.jpg"] == f"no label: not in {PARTITION}"


@pytest.mark.parametrize(("lists", "read"), [({}, None), (LISTS, False)])
def test_without_lists_there_are_no_labels(tmp_path, lists, read):
    folder = build(tmp_path, lists)
    (folder / "img_align_celeba" / "notes.txt").touch()
    records, skipped = read_celeba(folder, CelebaParams(lists=read))
    assert list(records) == ["path", "bytes", "modified_ns"]
    assert list(records["path"]) == [f"img_align_celeba/00000{number}.jpg" for number in (1, 2, 3)]
    assert set(records["bytes"]) == {4}
    assert list(skipped["path"]) == ["img_align_celeba/notes.txt"]


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({ATTRIBUTES: b"3\nSmiling\n000001.jpg 1\n000002.jpg 0\n"}, ["Line 4", "1, -1"]),
        ({ATTRIBUTES: b"3\nSmiling Young\n000001.jpg 1\n"}, ["Line 3", "2 numbers"]),
        ({ATTRIBUTES: b"Smiling Young\n000001.jpg 1 1\n"}, ["no header", "a count"]),
        ({ATTRIBUTES: b"3\nSmiling Smiling\n000001.jpg 1 1\n"}, ["each name once"]),
        ({ATTRIBUTES: b"3\n"}, ["no header"]),
        ({ATTRIBUTES: b""}, ["no header"]),
        ({"list_attr_celeba.csv": b""}, ["no header", "image_id"]),
        ({PARTITION: b"000001.jpg 0\n000002.jpg 3\n"}, ["Line 2", "0, 1, 2"]),
        ({PARTITION: b"\n"}, [f"No image that {PARTITION} names"]),
        ({PARTITION: b"000009.jpg 0\n"}, [f"No image that {PARTITION} names"]),
    ],
)
def test_an_invalid_list_is_one_error_sentence(tmp_path, lists, words):
    folder = build(tmp_path, lists)
    with pytest.raises(GanvasError) as caught:
        read_celeba(folder, CelebaParams())
    message = str(caught.value)
    assert str(folder) in message and all(word in message for word in words)


def test_a_missing_folder_or_list_is_one_error_sentence(tmp_path):
    with pytest.raises(GanvasError, match="does not exist"):
        read_celeba(tmp_path / "gone", CelebaParams())
    with pytest.raises(GanvasError, match=r"No image below .*img_align_celeba"):
        read_celeba(tmp_path, CelebaParams())
    folder = build(tmp_path, {ATTRIBUTES: LISTS[ATTRIBUTES]})
    with pytest.raises(GanvasError, match=r"no list_eval_partition\.txt"):
        read_celeba(folder, CelebaParams(lists=True))


def test_lists_and_folders_of_other_systems_are_read(tmp_path):
    before, _ = read_celeba(build(tmp_path / "a", LISTS), CelebaParams())
    texts = {name.upper(): raw.decode().replace(",", "; ") for name, raw in KAGGLE.items()}
    lists = {name: text.encode("utf-16") for name, text in texts.items()}
    folder = build(tmp_path / "b", lists, "Img_Align_CelebA")
    for file in (folder / "Img_Align_CelebA").iterdir():
        file.rename(file.with_suffix(".png"))
    after, _ = read_celeba(folder, CelebaParams(lists=True))
    labels = ["Smiling", "Young", "split"]
    assert after[labels].equals(before[labels]) and len(before)
    assert after["path"].tolist() == [f"Img_Align_CelebA/00000{n}.png" for n in (1, 2)]
