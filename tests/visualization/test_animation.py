import io

import numpy as np
from PIL import Image

from ganvas.visualization.animation import LAST_FRAME_MS, MAX_FRAMES, collect_frames, encode_webp
from ganvas.visualization.image_grid import write_png
from ganvas.visualization.progress_strip import snapshot_file


def make_frame(number: int) -> np.ndarray:
    return np.full((16, 24, 3), (number * 37 % 256, 255 - number, 90), np.uint8)


def test_the_first_and_the_last_snapshot_are_among_the_frames(tmp_path):
    for epoch in range(1, 201):
        write_png(snapshot_file(tmp_path, epoch), make_frame(epoch))
    frames = collect_frames(tmp_path)
    assert 20 < len(frames) <= MAX_FRAMES and frames.shape[1:] == (16, 24, 3)
    assert (frames[0] == make_frame(1)).all() and (frames[-1] == make_frame(200)).all()


def test_frames_start_where_a_resumed_run_changed_the_grid(tmp_path):
    for epoch in range(1, 6):
        frame = make_frame(epoch)
        wide = np.repeat(frame, 2, axis=1)
        write_png(snapshot_file(tmp_path, epoch), frame if epoch < 3 else wide)
    frames = collect_frames(tmp_path)
    assert frames.shape == (3, 16, 48, 3)
    assert (frames[0, :, :24] == make_frame(3)).all()


def test_frames_play_in_order_and_the_last_one_is_held():
    frames = np.stack([make_frame(number) for number in range(5)])
    with Image.open(io.BytesIO(encode_webp(frames))) as animation:
        assert animation.format == "WEBP" and animation.n_frames == 5
        assert animation.info["loop"] == 0
        for number in range(5):
            animation.seek(number)
            decoded = np.asarray(animation.convert("RGB")).astype(int)
            assert np.abs(decoded - frames[number]).max() <= 8
        assert animation.info["duration"] == LAST_FRAME_MS


def test_a_single_frame_can_be_encoded():
    with Image.open(io.BytesIO(encode_webp(make_frame(1)[None]))) as animation:
        assert animation.size == (24, 16)
