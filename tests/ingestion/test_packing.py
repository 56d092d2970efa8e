import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion import pack_worker, packing
from ganvas.ingestion.collection import MANIFEST, read_manifest, read_source
from ganvas.ingestion.decode import decode_image
from ganvas.ingestion.file_index import list_files
from ganvas.ingestion.packing import PackParams, pack, reuse_without_source

NONE = pd.DataFrame({"path": [], "reason": []}, dtype="str")


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(12):
        Image.new("RGB", (40, 40), (number * 20, 0, 0)).save(folder / f"p{number:02d}.png")
    return folder


def listing(raw):
    records = pd.DataFrame(list_files(raw), columns=["path", "bytes", "modified_ns"])
    return records.sort_values("path", ignore_index=True).assign(artist="A")


def pack_all(raw, folder, size=32, validation_share=0.3, max_rejected_share=0.25):
    params = PackParams(
        size=size, validation_share=validation_share, max_rejected_share=max_rejected_share
    )
    return pack(listing(raw), NONE, raw, folder, params)


def test_images_index_and_order(raw, tmp_path):
    collection = pack_all(raw, tmp_path / "packed")
    assert collection.images.shape == (12, 32, 32, 3) and collection.images.dtype == np.uint8
    assert list(collection.images[:][:, 0, 0, 0]) == [number * 20 for number in range(12)]
    assert list(collection.index.columns) == ["path", "artist", "hash", "split"]
    assert len(collection.rejected) == 0


def test_undecodable_files_are_rejected_and_leave_no_gap(raw, tmp_path):
    (raw / "p05.png").write_text("no image")
    (raw / "p07b.png").write_bytes((raw / "p07.png").read_bytes())
    collection = pack_all(raw, tmp_path / "packed")
    assert collection.rejected.set_index("path")["reason"].to_dict() == {
        "p05.png": "not an image",
        "p07b.png": "duplicate of p07.png",
    }
    assert list(collection.images[:][:, 0, 0, 0]) == [n * 20 for n in range(12) if n != 5]
    assert len(collection.index) == 11


def test_every_file_is_in_exactly_one_table(raw, tmp_path):
    (raw / "p03.png").write_bytes(b"")
    collection = pack_all(raw, tmp_path / "packed")
    both = [*collection.index["path"], *collection.rejected["path"]]
    assert sorted(both) == sorted(file.name for file in raw.iterdir())


def test_skipped_files_are_listed_but_do_not_count_towards_the_allowed_share(
    raw, tmp_path, monkeypatch
):
    names = [f"other{number}.png" for number in range(100)]
    skipped = pd.DataFrame({"path": names, "reason": "no label"}, dtype="str")
    folder, params = tmp_path / "packed", PackParams(size=32)
    collection = pack(listing(raw), skipped, raw, folder, params)
    assert collection.rejected["path"].tolist() == names and len(collection.index) == 12
    monkeypatch.setattr(pack_worker, "decode_image", lambda *_: pytest.fail("decoded again"))
    assert len(pack(listing(raw), skipped[:50], raw, folder, params).rejected) == 50


def test_too_many_rejected_files_are_an_error_and_keep_the_old_collection(raw, tmp_path):
    before = pack_all(raw, tmp_path / "packed").images[:]
    for number in range(4):
        (raw / f"p{number:02d}.png").write_text("damaged")
    with pytest.raises(GanvasError, match=r"4 of 12 files .*max_rejected_share"):
        pack_all(raw, tmp_path / "packed")
    assert (packing.open_collection(tmp_path / "packed").images[:] == before).all()


def test_a_larger_allowed_share_resumes_from_finished_chunks(raw, tmp_path, monkeypatch):
    for number in range(4):
        (raw / f"p{number:02d}.png").write_text("damaged")
    with pytest.raises(GanvasError, match="4 of 12"):
        pack_all(raw, tmp_path / "packed")
    monkeypatch.setattr(pack_worker, "decode_image", lambda *_: pytest.fail("decoded again"))
    assert len(pack_all(raw, tmp_path / "packed", max_rejected_share=0.5).images) == 8
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {".packed.lock", ".packed.in-use.lock", "packed", "raw"}
    with pytest.raises(GanvasError, match="4 of 12"):
        pack_all(raw, tmp_path / "packed")


def test_no_decodable_file_is_always_an_error(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.jpg").write_text("a")
    with pytest.raises(GanvasError, match="not an image"):
        pack_all(raw, tmp_path / "packed", max_rejected_share=1.0)


def test_an_unchanged_source_is_not_decoded_again(raw, tmp_path, monkeypatch):
    first = pack_all(raw, tmp_path / "packed")
    monkeypatch.setattr(pack_worker, "decode_image", lambda *_: pytest.fail("decoded again"))
    second = pack_all(raw, tmp_path / "packed")
    assert (first.images[:] == second.images[:]).all() and first.index.equals(second.index)


def test_the_manifest_names_the_folder_of_the_source(raw, tmp_path, monkeypatch, caplog):
    pack_all(raw, tmp_path / "packed")
    assert read_source(tmp_path / "packed") == str(raw)
    # The same files at another place are not packed again.
    raw.rename(tmp_path / "moved")
    with monkeypatch.context() as patch:
        patch.setattr(pack_worker, "decode_image", lambda *_: pytest.fail("decoded again"))
        pack_all(tmp_path / "moved", tmp_path / "packed")
    assert read_source(tmp_path / "packed") == str(tmp_path / "moved")
    assert "replaced" not in caplog.text
    # Others take their place, which is reported.
    raw.mkdir()
    Image.new("RGB", (40, 40)).save(raw / "other.png")
    assert len(pack_all(raw, tmp_path / "packed").images) == 1
    assert f"packed holds images of {tmp_path / 'moved'}, which are replaced." in caplog.text
    assert read_source(tmp_path / "packed") == str(raw) and read_source(raw) is None


@pytest.mark.parametrize("lost", ["images-00000.npy", "index.parquet", "manifest.json"])
def test_a_collection_with_a_missing_file_is_packed_again(raw, tmp_path, lost):
    pack_all(raw, tmp_path / "packed")
    (tmp_path / "packed" / lost).unlink()
    assert len(pack_all(raw, tmp_path / "packed").images) == 12


@pytest.mark.parametrize("change", ["size", "file", "link", "share"])
def test_a_changed_source_is_packed_again(raw, tmp_path, change):
    if change == "link":
        (raw / "p00.png").rename(tmp_path / "elsewhere.png")
        (raw / "p00.png").symlink_to(tmp_path / "elsewhere.png")
    pack_all(raw, tmp_path / "packed")
    if change in ("file", "link"):
        Image.new("RGB", (40, 40), (7, 7, 7)).save(raw / "p00.png")
    options = {"size": {"size": 64}, "share": {"validation_share": 0.0}}.get(change, {})
    collection = pack_all(raw, tmp_path / "packed", **options)
    assert {
        "size": collection.images.shape[1] == 64,
        "file": collection.images[0][0, 0, 0] == 7,
        "link": collection.images[0][0, 0, 0] == 7,
        "share": len(collection.split("validation")) == 0,
    }[change]


def test_splits_are_stable_when_images_are_added(raw, tmp_path):
    before = pack_all(raw, tmp_path / "packed").index.set_index("path")["split"]
    assert {"train", "validation"} <= set(before)
    for number in range(12, 19):
        Image.new("RGB", (40, 40), (0, number, 0)).save(raw / f"a{number}.png")
    after = pack_all(raw, tmp_path / "packed").index.set_index("path")["split"]
    assert (after[before.index] == before).all()


def test_a_split_of_the_source_is_kept(raw, tmp_path):
    own = ["train", "validation", "test"] * 4
    records = listing(raw).assign(split=own)
    collection = pack(records, NONE, raw, tmp_path / "packed", PackParams(size=32))
    assert collection.index["split"].tolist() == own


def test_an_interrupted_run_keeps_the_old_collection(raw, tmp_path, monkeypatch):
    before = pack_all(raw, tmp_path / "packed").images[:]
    Image.new("RGB", (40, 40), (1, 2, 3)).save(raw / "new.png")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pack_worker, "decode_image", stop)
        with pytest.raises(KeyboardInterrupt):
            pack_all(raw, tmp_path / "packed")
    assert (packing.open_collection(tmp_path / "packed").images[:] == before).all()
    assert len(pack_all(raw, tmp_path / "packed").images) == 13


def test_a_concurrent_run_is_an_error(raw, tmp_path, monkeypatch):
    tried = []

    def pack_too(*arguments):
        if not tried:
            tried.append(True)
            with pytest.raises(
                GanvasError, match=r"Another run \(process \d+ on .*\) packs .*: wait for it"
            ):
                pack_all(raw, tmp_path / "packed")
        return decode_image(*arguments)

    monkeypatch.setattr(pack_worker, "decode_image", pack_too)
    assert len(pack_all(raw, tmp_path / "packed").images) == 12 and tried


def test_a_run_without_changes_keeps_the_work_folder_of_another(raw, tmp_path, monkeypatch):
    pack_all(raw, tmp_path / "packed")

    def decode(*arguments):
        assert pack_all(raw, tmp_path / "packed").images.shape == (12, 32, 32, 3)
        return decode_image(*arguments)

    monkeypatch.setattr(pack_worker, "decode_image", decode)
    collection = pack_all(raw, tmp_path / "packed", size=64)
    assert collection.images.shape == (12, 64, 64, 3)
    assert not (tmp_path / ".packed.partial").exists()


def test_a_full_disk_is_one_error_sentence_and_the_next_run_resumes(raw, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(packing, "replace_folder", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pack_all(raw, tmp_path / "packed")
    # The shard has to be written again, to a device that is always full.
    (tmp_path / ".packed.partial" / "rows-00000.parquet").unlink()
    partial = tmp_path / ".packed.partial" / "whole" / ".images-00000.npy.partial"
    partial.symlink_to("/dev/full")
    with pytest.raises(GanvasError, match=r"The disk of .*packed is full .*: free space on it"):
        pack_all(raw, tmp_path / "packed")
    assert not partial.is_symlink()
    assert len(pack_all(raw, tmp_path / "packed").images) == 12


def test_a_disk_that_is_certainly_too_small_is_refused_before_decoding(raw, tmp_path, monkeypatch):
    # 12 images of 3,072 bytes, of which a quarter may be rejected; an image is held twice.
    def leave(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    leave(9 * 3072 - 1000)
    with pytest.raises(GanvasError, match=r"has 26.6 kB free, but the packed images need at least"):
        pack_all(raw, tmp_path / "packed")
    leave(9 * 3072)
    assert len(pack_all(raw, tmp_path / "packed").images) == 12


def test_an_unwritable_folder_is_one_error_sentence(raw, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(GanvasError, match=r"packed can't be packed .*File exists.*: fix that"):
        pack_all(raw, tmp_path / "file" / "packed")


def test_other_labels_and_every_parameter_that_changes_bytes_are_packed_again(raw, tmp_path):
    def packed(records):
        return pack(records, NONE, raw, tmp_path / "packed", PackParams(size=32)).index

    def fingerprint(**params):
        return packing._fingerprint(records, PackParams(**params))

    records = listing(raw)
    packed(records)
    assert set(packed(records.assign(artist="B"))["artist"]) == {"B"}
    assert "painter" in packed(records.assign(artist="B").rename(columns={"artist": "painter"}))
    changes = [{"size": 32}, {"crop": "pad"}, {"align": "faces"}]
    changes += [{"validation_share": 0.2}, {"test_share": 0.2}]
    assert len({fingerprint(), *(fingerprint(**change) for change in changes)}) == 6
    for execution in ({"workers": 3}, {"max_rejected_share": 0.5}, {"scheduler": "tcp://a:1"}):
        assert fingerprint(**execution) == fingerprint()


def test_images_whose_range_is_guessed_or_of_one_level_are_counted_in_warnings(tmp_path, caplog):
    raw = tmp_path / "raw"
    raw.mkdir()
    ramp = np.linspace(0, 4000, 32 * 32).reshape(32, 32)
    for number in range(5):
        Image.fromarray((ramp + number).astype(np.uint16)).save(raw / f"deep{number}.png")
    Image.new("RGB", (32, 32), (9, 9, 9)).save(raw / "black.png")
    Image.effect_noise((32, 32), 90).save(raw / "fine.png")
    pack_all(raw, tmp_path / "packed")
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert warnings[0].startswith("5 of 7 images (deep0.png, deep1.png, deep2.png, …) have samples")
    assert warnings[1].startswith("1 of 7 images (black.png) are of nearly one level")


def noise(seed, size=96):
    """Return an image of colored blobs."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)


def test_copies_of_an_image_are_in_one_split_and_counted(tmp_path, caplog):
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in range(40):
        image = noise(number)
        image.save(raw / f"{number:02d}.png")
        if number < 10:
            image.save(raw / f"{number:02d} copy.jpg", quality=60)
            image.resize((70, 70)).save(raw / f"{number:02d} small.webp", quality=70)
    with caplog.at_level("INFO"):
        collection = pack_all(raw, tmp_path / "packed", validation_share=0.3)
    splits = collection.index.groupby(collection.index["path"].str[:2])["split"]
    assert (splits.nunique() == 1).all() and set(collection.index["split"]) > {"validation"}
    counts = read_manifest(tmp_path / "packed")["near_duplicates"]
    assert (counts["images"], counts["groups"]) == (30, 10) and counts["moved"] > 0
    assert "30 images are nearly equal to others, such as 00 copy.jpg and 00 small.webp" in (
        caplog.text
    )
    # Images without copies keep their split.
    singles = collection.index[collection.index["path"] > "10"]
    alone = tmp_path / "alone"
    shutil.copytree(raw, alone, ignore=shutil.ignore_patterns("0?*"))
    again = pack_all(alone, tmp_path / "packed_alone", validation_share=0.3).index
    assert again["split"].tolist() == singles["split"].tolist()
    # A split of the source is kept, and what that means is told.
    records = listing(raw).assign(split=["train", "validation"] * 30)
    pack(records, NONE, raw, tmp_path / "own", PackParams(size=32))
    assert read_manifest(tmp_path / "own")["near_duplicates"]["in_several_splits"] == 30
    assert "30 of them are in several splits of the source" in caplog.text


def test_a_collection_is_used_without_its_images_if_nothing_else_has_changed(raw, tmp_path):
    packed = tmp_path / "packed"
    params = PackParams(size=32, validation_share=0.3)
    before = pack(listing(raw), NONE, raw, packed, params)
    assert reuse_without_source(raw, packed, params) is None
    shutil.rmtree(raw)
    for _ in range(2):  # gone, then an empty folder where a disk is mounted
        found = reuse_without_source(raw, packed, params.model_copy(update={"workers": 2}))
        assert found is not None and found.index.equals(before.index)
        for other in ({"size": 64}, {"validation_share": 0.2}):
            assert reuse_without_source(raw, packed, params.model_copy(update=other)) is None
        assert reuse_without_source(tmp_path / "other", packed, params) is None
        raw.mkdir(exist_ok=True)
    manifest = read_manifest(packed)
    # An earlier version has not recorded its parameters.
    old = {name: manifest[name] for name in ("fingerprint", "source")}
    (packed / MANIFEST).write_text(json.dumps(old))
    assert reuse_without_source(raw, packed, params) is None
    (packed / MANIFEST).write_text(json.dumps(manifest))
    (packed / "images-00000.npy").unlink()
    assert reuse_without_source(raw, packed, params) is None


def test_an_unchanged_collection_of_an_earlier_version_is_kept_and_gets_its_parameters(
    raw, tmp_path, monkeypatch
):
    before = pack_all(raw, tmp_path / "packed").index
    manifest = read_manifest(tmp_path / "packed")
    old = {name: manifest[name] for name in ("fingerprint", "source")}
    (tmp_path / "packed" / MANIFEST).write_text(json.dumps(old))
    monkeypatch.setattr(pack_worker, "decode_image", lambda *_: pytest.fail("decoded again"))
    assert pack_all(raw, tmp_path / "packed").index.equals(before)
    assert read_manifest(tmp_path / "packed") == old | {"parameters": manifest["parameters"]}


@pytest.mark.parametrize(
    ("sizes", "align", "expected"),
    [
        ([200_000] * 400, "none", True),
        ([200_000] * 400, "faces", False),
        ([200_000] * 5000, "none", False),
        ([5_000_000] * 400, "none", False),
        ([200_000] * 399 + [20_000_000], "none", False),
    ],
)
def test_small_sources_are_decoded_without_processes(sizes, align, expected):
    records = pd.DataFrame({"bytes": sizes})
    assert packing._is_small(records, PackParams(align=align)) == expected
