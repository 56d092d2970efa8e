import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion import pack_worker, packing
from ganvas.ingestion.collection import open_collection, read_manifest
from ganvas.ingestion.file_index import FILE_STATS, list_files
from ganvas.ingestion.pack_job import pack_shards
from ganvas.ingestion.packing import PackParams, pack, reuse_without_source
from ganvas.ingestion.shards import find_storage
from ganvas.ingestion.storage import choose_storage, estimate_bytes

NONE = pd.DataFrame({"path": [], "reason": []}, dtype="str")


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")
    return folder


def pack_all(raw, folder, storage="auto", size=32):
    records = pd.DataFrame(sorted(list_files(raw)), columns=["path", *FILE_STATS])
    return pack(records, NONE, raw, folder, PackParams(size=size, storage=storage, workers=1))


def test_auto_encodes_large_images():
    color = [choose_storage((side, side, 3), "auto") for side in (64, 192, 224, 256, 1024)]
    assert color == ["raw", "raw", "encoded", "encoded", "encoded"]
    assert choose_storage((256, 256, 1), "auto") == "raw"
    assert choose_storage((384, 384, 1), "auto") == "encoded"
    assert choose_storage((512, 64, 4), "auto") == "encoded"
    assert choose_storage((64, 64, 3), "encoded") == "encoded"
    assert choose_storage((1024, 1024, 3), "raw") == "raw"


def test_encoded_images_are_expected_to_take_less_space():
    assert estimate_bytes((512, 512, 3), "raw") == (786_432, 786_432)
    least, likely = estimate_bytes((512, 512, 3), "encoded")
    assert 0 < least < likely < 786_432 / 2


def test_storage_changes_neither_images_nor_index_nor_fingerprint(raw, tmp_path):
    plain = pack_all(raw, tmp_path / "raw_packed", "raw")
    encoded = pack_all(raw, tmp_path / "encoded_packed", "encoded")
    assert [find_storage(tmp_path / f"{name}_packed") for name in ("raw", "encoded")] == [
        "raw",
        "encoded",
    ]
    assert np.array_equal(encoded.images[:], plain.images[:])
    assert encoded.index.equals(plain.index) and encoded.rejected.equals(plain.rejected)
    manifests = [read_manifest(tmp_path / f"{name}_packed") for name in ("raw", "encoded")]
    assert manifests[0] == manifests[1]
    assert sorted(path.name for path in (tmp_path / "encoded_packed").iterdir()) == [
        "images-00000.offsets.npz",
        "images-00000.webps",
        "index.parquet",
        "manifest.json",
        "rejected.parquet",
    ]


def test_another_storage_packs_again_and_auto_keeps_what_there_is(raw, tmp_path, monkeypatch):
    folder = tmp_path / "packed"
    before = pack_all(raw, folder, "encoded").images[:]
    with monkeypatch.context() as patch:
        patch.setattr(pack_worker, "decode_image", lambda *_: pytest.fail("decoded again"))
        pack_all(raw, folder, "encoded")
        # By its size, auto would store it raw.
        pack_all(raw, folder, "auto")
    assert find_storage(folder) == "encoded"
    assert np.array_equal(pack_all(raw, folder, "raw").images[:], before)
    assert find_storage(folder) == "raw"
    # Without the images of the source, the collection is used however it is stored.
    shutil.rmtree(raw)
    found = reuse_without_source(raw, folder, PackParams(size=32, storage="encoded", workers=1))
    assert found is not None and np.array_equal(found.images[:], before)


def test_chunks_of_another_storage_are_never_used(raw, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, "replace_folder", stop)
        for storage in ("raw", "encoded"):
            with pytest.raises(KeyboardInterrupt):
                pack_all(raw, tmp_path / "packed", storage)
    names = {path.name for path in (tmp_path / ".packed.partial" / "whole").iterdir()}
    assert "images-00000.webps" in names and "images-00000.npy" not in names


def test_a_truncated_encoded_collection_is_packed_again(raw, tmp_path):
    folder = tmp_path / "packed"
    before = pack_all(raw, folder, "encoded").images[:]
    for name in ("images-00000.webps", "images-00000.offsets.npz"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1])
        with pytest.raises(GanvasError, match=name):
            open_collection(folder)
        assert np.array_equal(pack_all(raw, folder).images[:], before)
        # As auto stores images of this size, since there is no complete collection to keep.
        assert find_storage(folder) == "raw"
        pack_all(raw, folder, "encoded")


@pytest.mark.parametrize("name", ["index.parquet", "rejected.parquet"])
def test_a_damaged_table_is_named(raw, tmp_path, name):
    folder = tmp_path / "packed"
    pack_all(raw, folder)
    content = (folder / name).read_bytes()
    for damaged in (b"", content[:-1]):
        (folder / name).write_bytes(damaged)
        with pytest.raises(GanvasError, match=rf"{name} is damaged or truncated \(.*pack the"):
            open_collection(folder)


@pytest.mark.parametrize("storage", ["raw", "encoded"])
@pytest.mark.parametrize("shape", [(96, 64, 4), (64, 96, 1)])
def test_gray_and_transparent_rectangles_are_packed(tmp_path, storage, shape):
    pixels = np.random.default_rng(0).integers(1, 256, (5, *shape), dtype=np.uint8)
    paths = pd.Series([f"{number}.png" for number in range(5)])
    for path, levels in zip(paths, pixels, strict=True):
        Image.fromarray(levels.squeeze()).save(tmp_path / path)
    options = pack_worker.DecodeOptions(tmp_path, shape, "center", "none")
    work = tmp_path / "work"
    packing.open_work_folder(work, "a" * 32, None)
    executor = packing.ExecutorOptions(None, 1)
    (*_, results) = pack_shards(paths, options, work, executor, storage)
    assert len(results) == 5
    assert np.array_equal(packing.open_shards(work / "whole")[:], pixels)


def test_free_space_is_compared_with_what_encoded_images_take(raw, tmp_path, monkeypatch):
    needs = []
    monkeypatch.setattr(packing, "check_free_space", lambda _, *bytes_: needs.append(bytes_[:2]))
    for storage in ("raw", "encoded"):
        pack_all(raw, tmp_path / f"{storage}_packed", storage, size=256)
    (least, likely), (least_encoded, likely_encoded) = needs
    assert 0 < least_encoded < least and 0 < likely_encoded < 0.7 * likely
