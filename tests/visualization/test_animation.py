import io

import numpy as np
from PIL import Image

from ganvas.visualization.animation import FRAMES, SHOWN_LAST, collect_frames, encode_webp
from ganvas.visualization.image_grid import write_png
from ganvas.visualization.progress_strip import snapshot_file


def color(number: int) -> np.ndarray:
    return np.full((16, 24, 3), (number * 37 % 256, 255 - number, 90), np.uint8)


def test_the_first_and_the_last_snapshot_are_among_the_frames(tmp_path):
    for epoch in range(1, 201):
        write_png(snapshot_file(tmp_path, epoch), color(epoch))
    frames = collect_frames(tmp_path)
    assert 20 < len(frames) <= FRAMES and frames.shape[1:] == (16, 24, 3)
    assert (frames[0] == color(1)).all() and (frames[-1] == color(200)).all()


def test_a_run_that_went_on_with_other_columns_is_shown_from_there(tmp_path):
    for epoch in range(1, 6):
        wide = np.repeat(color(epoch), 2, axis=1)
        write_png(snapshot_file(tmp_path, epoch), color(epoch) if epoch < 3 else wide)
    frames = collect_frames(tmp_path)
    assert frames.shape == (3, 16, 48, 3)
    assert (frames[0, :, :24] == color(3)).all()


def test_all_frames_play_in_their_order_and_the_last_one_stays():
    frames = np.stack([color(number) for number in range(5)])
    with Image.open(io.BytesIO(encode_webp(frames))) as film:
        assert film.format == "WEBP" and film.n_frames == 5 and film.info["loop"] == 0
        for number in range(5):
            film.seek(number)
            shown = np.asarray(film.convert("RGB")).astype(int)
            assert np.abs(shown - frames[number]).max() <= 8
        assert film.info["duration"] == SHOWN_LAST


def test_one_snapshot_is_a_film_too():
    with Image.open(io.BytesIO(encode_webp(color(1)[None]))) as film:
        assert film.size == (24, 16)
