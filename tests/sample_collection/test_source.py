from pathlib import Path

import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion import SourceParams, list_images
from ganvas.sample_collection.source import MARKER, SampleParams, ensure_sample


def test_the_collection_is_drawn_once_and_again_when_parameters_change(tmp_path):
    folder = tmp_path / "raw" / "sample"
    ensure_sample(folder, SampleParams(images=8))
    first = next(folder.glob("images/*/*.jpg"))
    time = first.stat().st_mtime_ns
    ensure_sample(folder, SampleParams(images=8))
    assert first.stat().st_mtime_ns == time
    ensure_sample(folder, SampleParams(images=9))
    assert len(list(folder.glob("images/*/*.jpg"))) == 9
    assert {path.name for path in folder.parent.iterdir()} == {"sample", ".sample.lock"}


@pytest.mark.parametrize("marker", ['{"images": 8, "seed": 0}', '{"images": 8, "drawing": 1}', "{"])
def test_a_collection_of_an_earlier_version_is_drawn_again(tmp_path, marker):
    folder = tmp_path / "sample"
    ensure_sample(folder, SampleParams(images=8))
    first = next(folder.glob("images/*/*.jpg"))
    drawn = first.read_bytes()
    first.write_bytes(b"an older drawing")
    (folder / MARKER).write_text(marker)
    ensure_sample(folder, SampleParams(images=8))
    assert first.read_bytes() == drawn


def test_a_run_killed_while_it_deletes_the_old_images_leaves_the_new_ones(tmp_path, monkeypatch):
    folder = tmp_path / "sample"
    ensure_sample(folder, SampleParams(images=8))

    def kill(path, **_):
        if Path(path).exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ganvas.atomic_files.shutil.rmtree", kill)
        with pytest.raises(KeyboardInterrupt):
            ensure_sample(folder, SampleParams(images=9))
    assert len(list(folder.glob("images/*/*.jpg"))) == 9


def test_a_folder_with_other_files_is_not_changed(tmp_path):
    (tmp_path / "treasure.txt").write_text("mine")
    with pytest.raises(GanvasError, match=r"ingest\.source\.path"):
        ensure_sample(tmp_path, SampleParams(images=8))
    assert (tmp_path / "treasure.txt").read_text() == "mine"


def test_the_sample_is_read_like_best_artworks(tmp_path):
    params = SourceParams(sample=SampleParams(images=16))
    records, skipped, artists, *_ = list_images(tmp_path / "sample", params)
    assert len(skipped) == 0
    assert len(records) == 16 and len(artists) == 8
    counts = records["artist"].value_counts()
    assert counts[artists["name"]].tolist() == artists["paintings"].tolist()
    assert (records["genre"] != "").all()
