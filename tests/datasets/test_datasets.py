import base64
import io

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError
from PIL import Image

from ganvas.datasets.atomic import AtomicJSONDataset
from ganvas.datasets.folder import FolderDataset, SnapshotsDataset
from ganvas.datasets.images import (
    AnimationDataset,
    ImageDataset,
    ImageFolderDataset,
    OptionalImageDataset,
)
from ganvas.datasets.leaderboard import LeaderboardDataset
from ganvas.datasets.packed_collection import CollectionDataset
from ganvas.errors import GanvasError
from ganvas.ingestion.collection import INDEX, MANIFEST, REJECTED
from ganvas.ingestion.shards import SHARD_NAME
from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.visualization.image_grid import split_grid, write_png
from ganvas.visualization.progress_strip import snapshot_file


def pixels(preview: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(preview))))


def test_an_image_is_saved_loaded_and_previewed(tmp_path, images):
    dataset = ImageDataset(filepath=str(tmp_path / "a" / "grid.png"))
    assert not dataset.exists()
    dataset.save(images[0])
    np.testing.assert_array_equal(dataset.load(), images[0])
    preview = Image.open(io.BytesIO(base64.b64decode(dataset.preview())))
    np.testing.assert_array_equal(np.asarray(preview), images[0])


def test_an_image_that_a_run_does_not_have_is_an_empty_array_and_no_file(tmp_path, images):
    file = tmp_path / "table.png"
    dataset = OptionalImageDataset(filepath=str(file))
    assert dataset.load().size == 0 and dataset.preview() is None
    dataset.save(images[0])
    np.testing.assert_array_equal(dataset.load(), images[0])
    np.testing.assert_array_equal(pixels(dataset.preview()), images[0])
    # That of an earlier run doesn't stay.
    dataset.save(dataset.load()[:0])
    assert not file.exists() and dataset.load().size == 0


def test_an_animation_is_saved_loaded_and_previewed(tmp_path, images):
    dataset = AnimationDataset(filepath=str(tmp_path / "a" / "film.webp"))
    assert not dataset.exists()
    dataset.save(images[:4])
    assert dataset.load().shape == (4, 32, 32, 3)
    # Lossy, and colors at half the resolution.
    assert np.abs(dataset.load().astype(int) - images[:4]).mean() < 20
    assert Image.open(io.BytesIO(base64.b64decode(dataset.preview()))).n_frames == 4


def test_a_folder_of_images_is_replaced_as_a_whole(tmp_path, images):
    dataset = ImageFolderDataset(filepath=str(tmp_path / "samples"))
    dataset.save((f"p{k}", image) for k, image in enumerate(images[:5]))
    dataset.save((f"p{k}", image) for k, image in enumerate(images[5:8]))
    loaded = dataset.load()
    assert list(loaded) == ["p0", "p1", "p2"]
    np.testing.assert_array_equal(loaded["p1"](), images[6])
    file = tmp_path / "samples/p1.png"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(GanvasError, match=f"{file} can't be read .* create it again"):
        loaded["p1"]()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_images_of_a_folder_keep_their_channels(channels, mode, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (96, 64, channels), dtype=np.uint8)
    dataset = ImageFolderDataset(filepath=str(tmp_path / "samples"))
    dataset.save([("a", image)])
    np.testing.assert_array_equal(dataset.load()["a"](), image)
    assert Image.open(tmp_path / "samples/a.png").mode == mode
    # Kedro-Viz shows transparent images on a checkerboard.
    assert pixels(dataset.preview()).shape == (100, 68, 3)


def test_previews_of_large_images_are_scaled_down(tmp_path):
    dataset = ImageDataset(filepath=str(tmp_path / "grid.png"))
    dataset.save(np.zeros((400, 8000, 3), np.uint8))
    assert pixels(dataset.preview()).shape == (130, 2600, 3)
    folder = ImageFolderDataset(filepath=str(tmp_path / "samples"))
    folder.save((f"p{k}", np.zeros((1024, 1024, 1), np.uint8)) for k in range(3))
    assert pixels(folder.preview()).shape == (260, 3 * 258 + 2, 3)


def test_a_failing_save_keeps_the_old_folder(tmp_path, images):
    dataset = ImageFolderDataset(filepath=str(tmp_path / "samples"))
    dataset.save([("old", images[0])])

    def broken():
        yield "new", images[1]
        raise RuntimeError("disk failure")

    with pytest.raises(DatasetError, match="disk failure"):
        dataset.save(broken())
    assert list(dataset.load()) == ["old"]


def test_a_folder_is_loaded_as_its_path_and_not_saved(tmp_path):
    dataset = FolderDataset(filepath=str(tmp_path / "not yet"))
    assert dataset.exists() and dataset.load() == tmp_path / "not yet"
    with pytest.raises(DatasetError, match="handed to nodes"):
        dataset.save("anything")


def test_the_preview_of_a_folder_shows_its_first_images(tmp_path, images):
    dataset = ImageFolderDataset(filepath=str(tmp_path / "samples"))
    large = np.zeros((70, 70, 3), np.uint8)
    dataset.save([("a grid", large), *((f"p{k:02}", image) for k, image in enumerate(images))])
    rows = split_grid(pixels(dataset.preview(images=7, columns=3)), 32, 32)
    shown = np.concatenate(list(rows))
    np.testing.assert_array_equal(shown[:7], images[:7])
    assert (shown[7:] == 255).all()
    assert pixels(dataset.preview(images=1)).shape == (74, 74, 3)
    dataset.save([])
    assert dataset.preview() is None


def test_the_preview_of_a_collection_shows_evenly_spaced_images(tmp_path, images):
    for number in range(2):
        np.save(tmp_path / SHARD_NAME.format(number), images[10 * number :][:10])
    for name, rows in ((INDEX, 20), (REJECTED, 0)):
        pd.DataFrame({"path": ["a.png"] * rows}).to_parquet(tmp_path / name)
    (tmp_path / MANIFEST).write_text("{}")
    dataset = CollectionDataset(filepath=str(tmp_path))
    rows = split_grid(pixels(dataset.preview(count=4, columns=2)), 32, 32)
    shown = np.concatenate(list(rows))
    np.testing.assert_array_equal(shown, images[[0, 6, 12, 19]])
    assert split_grid(pixels(dataset.preview(count=99, columns=5)), 32, 32).shape[:2] == (4, 5)


def test_the_preview_of_snapshots_is_the_last_one_of_the_latest_run(tmp_path, images):
    dataset = SnapshotsDataset(filepath=str(tmp_path))
    (tmp_path / "2026-01-03T00.00.00" / "tensorboard").mkdir(parents=True)
    assert dataset.preview() is None
    saved = [("2026-01-01T00.00.00", 30), ("2026-01-02T00.00.00", 9), ("2026-01-02T00.00.00", 10)]
    for (run, epoch), image in zip(saved, images, strict=False):
        write_png(snapshot_file(tmp_path / run, epoch), image)
    np.testing.assert_array_equal(pixels(dataset.preview()), images[2])


def test_the_preview_of_the_leaderboard_has_the_best_run_first(tmp_path):
    dataset = LeaderboardDataset(
        path=str(tmp_path),
        dataset="ganvas.datasets.atomic.AtomicJSONDataset",
        filename_suffix=".json",
    )
    entry = {
        "dataset": "sample",
        "extractor": "lite",
        "network": "dcgan",
        "epochs": 3,
        "minutes": 1.5,
        "images_seen": 24,
        "seed": 0,
        "version": "0.1",
        "parameters": {},
    }
    for name, distance in (("a", 0.5), ("b", 0.25), ("c", None)):
        metrics = {}
        if distance is not None:
            metrics["kernel_distance"] = metric_entry("Distance", distance, "N=9")
        dataset.save({name: entry | {"run": name, "started": name, "metrics": metrics}})
    shown = dataset.preview(nrows=3)
    column = {name: number for number, name in enumerate(shown["columns"])}
    rows = [[row[column["started"]], row[column["kernel_distance"]]] for row in shown["data"]]
    assert rows == [["b", 0.25], ["a", 0.5], ["c", ""]]
    assert len(dataset.preview(nrows=2)["data"]) == 2
    # A damaged entry hides no others.
    (tmp_path / "b.json").write_text('{"run":')
    assert [row[column["started"]] for row in dataset.preview()["data"]] == ["a", "c"]


def test_an_unfinished_save_is_not_on_the_leaderboard(tmp_path):
    board = LeaderboardDataset(
        path=str(tmp_path),
        dataset="ganvas.datasets.atomic.AtomicJSONDataset",
        filename_suffix=".json",
    )
    board.save({"a": {"run": "a"}})
    seen = []
    row = AtomicJSONDataset(
        filepath=str(tmp_path / "b.json"),
        save_args={"default": lambda _: seen.extend(board.load())},
    )
    row.save({"run": object()})
    assert seen == ["a"] and sorted(board.load()) == ["a", "b"]
