"""Files of films, read again by Pillow, PyAV and zipfile."""

import builtins
import io
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ganvas.channels import to_rgb
from ganvas.errors import GanvasError
from ganvas.latents.video import check_film, count_frames_in, enlarge, write_film

COUNT = 12


def make_frames(height=20, width=31, channels=3):
    """Return frames of waves; the fourth is repeated, and the alpha of four channels is a disk."""
    y, x = np.mgrid[:height, :width]
    frames = []
    for number in range(COUNT - 1):
        waves = [
            128 + 100 * np.sin(x / 9 + number / 3 + c) * np.cos(y / 8) for c in range(channels)
        ]
        if channels == 4:
            waves[3] = 255 * ((x - 8 - number) ** 2 + (y - 10) ** 2 < 60) - (x == 5) * 100
        frames.append(np.stack(waves, axis=-1).clip(0, 255).astype(np.uint8))
    return [*frames[:4], frames[3].copy(), *frames[4:]]


def read_animation(file, mode):
    """Return the frames of an animation, and their durations in milliseconds."""
    with Image.open(file) as animation:
        read = [
            (np.asarray(frame.convert(mode)), frame.info["duration"])
            for frame in ImageSequence.Iterator(animation)
        ]
        assert animation.info["loop"] == 0
    return [x for x, _ in read], [x for _, x in read]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_lossless_webp_has_each_frame_exactly(channels, tmp_path):
    frames = make_frames(channels=channels)
    assert write_film(frames, "webp", 30, tmp_path / "film.webp") == COUNT
    read, durations = read_animation(tmp_path / "film.webp", "RGBA" if channels == 4 else "RGB")
    assert len(read) == COUNT and sum(durations) == 400 and set(durations) == {33, 34}
    for frame, found in zip(frames, read, strict=True):
        np.testing.assert_array_equal(found, frame if channels == 4 else to_rgb(frame))
    assert [file.name for file in tmp_path.iterdir()] == ["film.webp"]


def test_a_webp_of_less_quality_is_smaller_and_keeps_alpha():
    frames = make_frames(64, 64, 4)
    sizes = []
    for quality in (100, 80, 20):
        file = io.BytesIO()
        write_film(frames, "webp", 24, file, quality)
        sizes.append(file.tell())
        read, _ = read_animation(file, "RGBA")
        for frame, found in zip(frames, read, strict=True):
            np.testing.assert_array_equal(found[..., 3], frame[..., 3])
            opaque = frame[..., 3] > 200
            error = np.abs(found[opaque].astype(int) - frame[opaque])
            assert error.mean() < (0.01 if quality == 100 else 12)
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("dither", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_gif_has_the_colors_of_a_palette_for_each_frame(channels, dither):
    file = io.BytesIO()
    frames = make_frames(channels=channels)
    assert write_film(frames, "gif", 30, file, dither=dither) == COUNT
    read, durations = read_animation(file, "RGBA")
    assert len(read) == COUNT and sum(durations) == 400 and set(durations) == {30, 40}
    for frame, found in zip(frames, read, strict=True):
        alpha = frame[..., 3] if channels == 4 else np.full(frame.shape[:2], 255)
        np.testing.assert_array_equal(found[..., 3], np.where(alpha < 128, 0, 255))
        shown = found[..., 3] > 0
        color = to_rgb(frame[..., :3])[shown]
        error = np.abs(found[..., :3][shown].astype(int) - color).mean()
        assert error <= (0 if channels == 1 else 4)


def test_the_colors_of_a_large_gif_are_chosen_from_a_part_of_its_pixels():
    frames = make_frames(300, 400)[:2]
    file = io.BytesIO()
    write_film(frames, "gif", 10, file)
    read, _ = read_animation(file, "RGB")
    for frame, found in zip(frames, read, strict=True):
        assert np.abs(found.astype(int) - frame).mean() < 4


@pytest.mark.parametrize("fps", [24, 23.976, 30, 50, 7.3])
@pytest.mark.parametrize("form", ["webp", "gif"])
def test_durations_add_up_to_that_of_the_film(form, fps):
    frame = make_frames()[0]
    file = io.BytesIO()
    write_film([frame] * 100, form, fps, file)
    read, durations = read_animation(file, "RGB")
    unit = 1 if form == "webp" else 10
    assert len(read) == 100 and abs(sum(durations) - 1e5 / fps) <= unit / 2
    assert max(durations) - min(durations) <= unit
    # Frames that repeat the one before take a few bytes.
    assert file.getbuffer().nbytes < 100 * 100 + 2000
    assert all((x == read[0]).all() for x in read)


def test_players_would_slow_down_a_faster_gif(tmp_path):
    with pytest.raises(GanvasError, match=r"at least 0\.01 frames a second, and 1e-05"):
        write_film([], "webp", 1e-5, io.BytesIO())
    with pytest.raises(GanvasError, match="at most 50 frames a second, and 60 were requested"):
        write_film(make_frames(), "gif", 60, tmp_path / "film.gif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_mp4_plays_anywhere(channels, tmp_path):
    av = pytest.importorskip("av")
    frames = make_frames(channels=channels)
    file = tmp_path / "film.mp4"
    assert write_film(frames, "mp4", 23.976, file, quality=95) == COUNT
    with av.open(str(file)) as container:
        (stream,) = container.streams
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (32, 20)
        assert float(stream.average_rate) == pytest.approx(23.976, abs=1e-3)
        read = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(read) == COUNT
    for frame, found in zip(frames, read, strict=True):
        # Transparent films are on white, and odd sides repeat their last pixels.
        assert np.abs(found[:, :31].astype(int) - to_rgb(frame)).mean() < 5
        assert np.abs(found[:, 31].astype(int) - found[:, 30]).mean() < 8
    # A web page plays it while it loads.
    content = file.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_colors_of_an_mp4_are_kept():
    av = pytest.importorskip("av")
    for color in ((255, 0, 0), (0, 200, 30), (20, 40, 250), (128, 128, 128)):
        file = io.BytesIO()
        write_film([np.full((16, 16, 3), color, np.uint8)] * 3, "mp4", 24, file, quality=95)
        file.seek(0)
        with av.open(file) as container:
            first = next(container.decode(video=0)).to_ndarray(format="rgb24")
        assert np.abs(first.astype(int) - color).max() <= 3


def test_an_mp4_without_pyav_is_explained_before_any_work(monkeypatch):
    imported = builtins.__import__

    def refuse(name, *args, **options):
        if name == "av":
            raise ImportError(name)
        return imported(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(GanvasError, match=r"MP4 needs PyAV.* run `pip install .*\[video\]"):
        check_film("mp4", 24)
    for form in ("webp", "gif", "frames", "zip"):
        check_film(form, 24)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("form", ["frames", "zip"])
def test_frames_are_png_files_in_order(form, channels, tmp_path):
    frames, target = make_frames(channels=channels), tmp_path / "film"
    (tmp_path / "film").mkdir()
    (tmp_path / "film/frame_000099.png").touch()
    if form == "zip":
        target = tmp_path / "film.zip"
    assert write_film(frames, form, 24, target) == count_frames_in(target, form) == COUNT
    if form == "zip":
        with zipfile.ZipFile(target) as archive:
            names = archive.namelist()
            read = [Image.open(io.BytesIO(archive.read(name))) for name in names]
    else:
        names = sorted(file.name for file in target.iterdir())
        read = [Image.open(target / name) for name in names]
    assert names == [f"frame_{number:06d}.png" for number in range(COUNT)]
    assert read[0].mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    for frame, found in zip(frames, read, strict=True):
        np.testing.assert_array_equal(np.asarray(found).reshape(frame.shape), frame)


@pytest.mark.parametrize("form", ["webp", "gif", "zip", "frames"])
def test_a_film_that_fails_leaves_the_previous_one(form, tmp_path):
    target = tmp_path / "film"
    write_film(make_frames(), form, 24, target)

    def fail():
        yield from make_frames()[:3]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_film(fail(), form, 24, target)
    assert [path.name for path in tmp_path.iterdir()] == ["film"]
    assert count_frames_in(target, form) == COUNT
    with pytest.raises(GanvasError, match="at least one frame"):
        write_film([], form, 24, target)
    with pytest.raises(ValueError, match="of one shape"):
        write_film([*make_frames(), make_frames(9)[0]], form, 24, target)
    assert count_frames_in(target, form) == COUNT


def test_frames_that_a_format_cannot_have_are_refused():
    with pytest.raises(GanvasError, match=r"16384×1 pixels are too large for webp.* 16383"):
        write_film([np.zeros((1, 16384, 3), np.uint8)], "webp", 24, io.BytesIO())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_frames_are_enlarged_by_whole_factors(channels):
    frame = make_frames(8, 9, channels)[0]
    squares = enlarge(frame, 3, "nearest")
    np.testing.assert_array_equal(squares[1::3, 1::3], frame)
    np.testing.assert_array_equal(squares[::3, 2::3], frame)
    smooth = enlarge(frame, 3)
    assert smooth.shape == squares.shape == (24, 27, channels)
    # Colors of transparent pixels don't count.
    assert 0 < np.abs(to_rgb(smooth).astype(int) - to_rgb(squares)).mean() < 20
    assert enlarge(frame, 1) is frame
