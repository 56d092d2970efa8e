import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.visualization.image_grid import make_grid, write_png
from ganvas.visualization.progress_strip import (
    MAX_FRAMES,
    choose_cells,
    choose_epochs,
    collect_frames,
    draw_strip,
    list_snapshots,
    read_strip,
    snapshot_file,
)


def test_chosen_epochs_are_dense_at_the_start_and_include_both_ends():
    chosen = choose_epochs(list(range(1, 151)), 9)
    assert chosen[0] == 1 and chosen[-1] == 150 and len(chosen) <= 9
    assert chosen == sorted(set(chosen))
    steps = np.diff(chosen)
    assert (np.diff(steps) >= 0).all() and steps[-1] > 4 * steps[0]


def test_all_epochs_are_chosen_where_there_are_few():
    assert choose_epochs([1, 2], 9) == [1, 2]
    assert choose_epochs([1], 9) == [1]


@pytest.mark.parametrize("load", [lambda folder: draw_strip(folder, 32, 32), collect_frames])
def test_missing_snapshots_raise_an_error(tmp_path, load):
    with pytest.raises(GanvasError, match=f"no snapshots in {tmp_path}.*restore them"):
        load(tmp_path)


@pytest.mark.slow
def test_the_strip_shows_each_epoch_in_order(tmp_path):
    for epoch, level in ((1, 20), (10, 120), (200, 220)):
        images = np.full((4, 32, 32, 3), level, np.uint8)
        write_png(snapshot_file(tmp_path, epoch), make_grid(images, columns=2))
    assert list(list_snapshots(tmp_path)) == [1, 10, 200]
    strip = draw_strip(tmp_path, 32, 32)
    middle = strip[strip.shape[0] // 3]
    present = [level for level in middle[:, 0].tolist() if level in (20, 120, 220)]
    assert present == sorted(present) and set(present) == {20, 120, 220}


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        (4, 8, [(0, 0), (1, 1), (2, 2), (3, 3)]),
        (8, 8, [(0, 0), (2, 1), (4, 2), (6, 3)]),
        (2, 8, [(0, 0), (0, 1), (1, 2), (1, 3)]),
        (1, 3, [(0, 0), (0, 1), (0, 2)]),
        (3, 1, [(0, 0), (1, 0), (2, 0)]),
        (1, 1, [(0, 0)]),
    ],
)
def test_the_strip_has_other_rows_and_other_columns(rows, columns, expected):
    assert choose_cells(rows, columns) == expected


@pytest.mark.slow
@pytest.mark.parametrize("order", ["rows by class", "classes alternate"])
def test_the_strip_shows_several_classes_in_snapshots_of_any_version(tmp_path, order):
    levels = np.repeat(np.arange(8) * 20 + 10, 8).reshape(8, 8)
    levels = levels if order == "rows by class" else levels.T
    images = np.full((64, 32, 32, 3), levels.reshape(-1, 1, 1, 1), np.uint8)
    write_png(snapshot_file(tmp_path, 1), make_grid(images, columns=8))
    strip = draw_strip(tmp_path, 32, 32)
    middle = strip[:, strip.shape[1] // 2, 0].tolist()
    assert len({level for level in middle if middle.count(level) > 20} - {255}) == 4


@pytest.mark.slow
def test_all_columns_of_the_strip_are_of_the_same_latents(tmp_path):
    for epoch, columns in ((1, 2), (2, 4), (3, 4)):
        images = np.full((16, 32, 32, 3), epoch * 40, np.uint8)
        write_png(snapshot_file(tmp_path, epoch), make_grid(images, columns))
    # The first snapshot has another shape, so that other latents are in its cells.
    strip = draw_strip(tmp_path, 32, 32)
    counts = [(strip == level).all(-1).sum() for level in (40, 80, 120)]
    # A few pixels of the letters have any gray.
    assert counts[0] < 100 and min(counts[1:]) > 10_000


def test_images_of_the_strip_are_read_unchanged(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (2, 8, 32, 32, 3), np.uint8)
    for epoch, row in ((1, images[0]), (9, images[1])):
        write_png(snapshot_file(tmp_path, epoch), make_grid(row, columns=2))
    strip = read_strip(tmp_path, 32, 32)
    assert list(strip) == [1, 9]
    # Rows 0 to 3, from alternating columns.
    np.testing.assert_array_equal(strip[9], images[1][[0, 3, 4, 7]])


def make_frame(number: int) -> np.ndarray:
    return np.full((16, 24, 3), (number * 37 % 256, 255 - number, 90), np.uint8)


def test_the_first_and_the_last_snapshot_are_among_the_frames(tmp_path):
    for epoch in range(1, 201):
        write_png(snapshot_file(tmp_path, epoch), make_frame(epoch))
    frames = collect_frames(tmp_path)
    assert 20 < len(frames) <= MAX_FRAMES and frames.shape[1:] == (16, 24, 3)
    assert (frames[0] == make_frame(1)).all() and (frames[-1] == make_frame(200)).all()
    # Up to an epoch that was chosen.
    assert (collect_frames(tmp_path, last=30)[-1] == make_frame(30)).all()


def test_frames_start_where_a_resumed_run_changed_the_grid(tmp_path):
    for epoch in range(1, 6):
        frame = make_frame(epoch)
        wide = np.repeat(frame, 2, axis=1)
        write_png(snapshot_file(tmp_path, epoch), frame if epoch < 3 else wide)
    frames = collect_frames(tmp_path)
    assert frames.shape == (3, 16, 48, 3)
    assert (frames[0, :, :24] == make_frame(3)).all()
