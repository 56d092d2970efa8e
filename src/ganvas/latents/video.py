"""Write films as animated WebP, GIF, MP4, or frames in a folder or an archive, frame by frame.

Frames are encoded as they come, so memory doesn't grow with the length of a film. WebP and GIF are
put together here from images that Pillow encodes: Pillow's own animations hold all frames in
memory, and drop frames that repeat the one before.
"""

import io
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from PIL import GifImagePlugin, Image

from ganvas.atomic_files import atomic_path, replace_folder
from ganvas.channels import to_rgb
from ganvas.errors import GanvasError
from ganvas.extras import install_command
from ganvas.visualization.image_grid import encode_png, write_png
from ganvas.visualization.reduced_images import as_pillow

FilmFormat = Literal["webp", "gif", "mp4", "frames", "zip"]
Resampling = Literal["lanczos", "nearest"]

# Players show each frame of a GIF for 20 ms or more: shorter ones take 100 ms.
MAX_GIF_FPS = 50
# Durations of longer frames are numbers that GIF and MP4 can't hold.
MIN_FPS = 0.01
# Longest sides that the formats have.
MAX_SIDES = {"webp": 16_383, "gif": 65_535, "mp4": 8_192}
# Alpha from which a pixel of a GIF, whose pixels are transparent or not, is opaque.
GIF_ALPHA = 128
# Pixels of a frame from which the colors of a GIF are chosen, a regular selection of larger ones:
# of all it would take ten times as long, for a gain of 1.5 dB.
PALETTE_PIXELS = 128**2
# A film plays again and again.
FOREVER = 0


def suffix_of(form: FilmFormat) -> str:
    """Return the suffix of a film's file, with its dot; "" for a folder of frames."""
    return "" if form == "frames" else f".{form}"


def check_film(form: FilmFormat, fps: float) -> None:
    """Check that a film can be written, before its frames are generated.

    Raises:
        GanvasError: No format can be as slow or a GIF as fast, or PyAV, which MP4 needs, isn't
            installed.
    """
    if not fps >= MIN_FPS:
        raise GanvasError(
            f"A film shows at least {MIN_FPS:g} frames a second, and {fps:g} were requested: "
            "choose more."
        )
    if form == "gif" and fps > MAX_GIF_FPS:
        raise GanvasError(
            f"A GIF shows at most {MAX_GIF_FPS} frames a second, and {fps:g} were requested: "
            f"choose {MAX_GIF_FPS} or fewer, or another format."
        )
    if form == "mp4":
        _import_av()


def enlarge(frame: np.ndarray, scale: int, resampling: Resampling = "lanczos") -> np.ndarray:
    """Enlarge a frame, uint8 (H, W, C), by a whole factor.

    Args:
        frame: The frame.
        scale: The factor; 1 returns the frame itself.
        resampling: `lanczos` is smooth, `nearest` repeats pixels.

    Example:
        >>> enlarge(np.zeros((64, 48, 4), np.uint8), 4).shape
        (256, 192, 4)
    """
    if scale == 1:
        return frame
    if resampling == "nearest":
        return frame.repeat(scale, axis=0).repeat(scale, axis=1)
    height, width, channels = frame.shape
    # Pillow weights colors by their alpha.
    larger = as_pillow(frame).resize((width * scale, height * scale), Image.Resampling.LANCZOS)
    return np.asarray(larger).reshape(height * scale, width * scale, channels)


def write_film(
    frames: Iterable[np.ndarray],
    form: FilmFormat,
    fps: float,
    target: Path | IO[bytes],
    quality: int = 100,
    dither: bool = False,
) -> int:
    """Write a film, and return the number of its frames.

    A file or folder is written atomically, and holds as many frames as were passed, which is
    checked. All but MP4 and frames play again and again.

    Args:
        frames: uint8 (H, W, C) of one shape: gray, RGB, or RGB with straight alpha.
        form: `webp` keeps gray, color and transparency. `gif` has 256 colors a frame, and pixels
            that are transparent (alpha below 128) or opaque. `mp4` is H.264 for any player, without
            transparency: on white, and with sides made even by repeating the last pixels. `frames`
            is a folder of PNG files, `zip` an archive of them.
        fps: Frames a second. Durations of frames are rounded to a millisecond in WebP and to ten in
            GIF, so that the sum is that of the film.
        target: File, or folder for `frames`; or a seekable binary file for the other formats.
        quality: From 1 to 100, of WebP, lossless at 100, and of MP4, whose constant rate factor is
            108 less it: 18, visually lossless, at 90.
        dither: Whether colors that a GIF lacks are dithered, which makes gradients smoother and
            files larger, and flickers.

    Raises:
        GanvasError: See `check_film`; there are no frames, they are too large for the format, or
            the file lacks some.

    Example:
        >>> file = io.BytesIO()
        >>> write_film([np.zeros((8, 8, 3), np.uint8)] * 30, "webp", 30, file)
        30
    """
    check_film(form, fps)
    if form == "frames":
        if not isinstance(target, Path):
            raise ValueError("frames are written to a folder")
        return _write_folder(frames, target)
    encode = {
        "webp": partial(_write_webp, fps=fps, quality=quality),
        "gif": partial(_write_gif, fps=fps, dither=dither),
        "mp4": partial(_write_mp4, fps=fps, quality=quality),
        "zip": _write_zip,
    }[form]
    if not isinstance(target, Path):
        return _encode(frames, form, target, encode)
    with atomic_path(target, shared=True) as partial_file, partial_file.open("wb+") as stream:
        return _encode(frames, form, stream, encode)


def _encode(frames: Iterable[np.ndarray], form: FilmFormat, stream: IO[bytes], encode: Any) -> int:
    checked = _CheckedFrames(frames, form)
    encode(checked, stream)
    stream.seek(0)
    found = count_frames_in(stream, form)
    stream.seek(0, io.SEEK_END)
    if found != checked.count:
        raise GanvasError(
            f"The {form} file has {found} of the film's {checked.count} frames: choose another "
            "format."
        )
    return found


class _CheckedFrames:
    """Frames that are counted as they pass, and must have one shape that a format can have."""

    def __init__(self, frames: Iterable[np.ndarray], form: FilmFormat) -> None:
        self._frames, self._form = frames, form
        self.count = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        shape = None
        for frame in self._frames:
            if shape is None:
                shape = frame.shape
                side, most = max(shape[:2]), MAX_SIDES.get(self._form)
                if most is not None and side > most:
                    raise GanvasError(
                        f"Frames of {shape[1]}×{shape[0]} pixels are too large for {self._form}, "
                        f"whose sides are at most {most}: choose a smaller scale, or frames."
                    )
            if frame.shape != shape or frame.dtype != np.uint8:
                raise ValueError(f"frames must be uint8 of one shape {shape}, not {frame.shape}")
            self.count += 1
            yield frame
        if shape is None:
            raise GanvasError("A film needs at least one frame.")


def count_frames_in(source: Path | IO[bytes], form: FilmFormat) -> int:
    """Return the number of frames that a film's file or folder has, as a reader finds them."""
    if form == "frames":
        return sum(1 for _ in Path(str(source)).glob("*.png"))
    if form == "zip":
        with zipfile.ZipFile(source) as archive:
            return len(archive.namelist())
    if form == "mp4":
        with _import_av().open(source, "r") as container:
            return sum(packet.size > 0 for packet in container.demux(video=0))
    with Image.open(source) as animation:
        return getattr(animation, "n_frames", 1)


def _split_duration(fps: float, unit: float) -> Iterator[int]:
    """Yield durations of frames in whole units of so many a second, whose sum is never off."""
    number, start = 0, 0
    while True:
        number += 1
        end = round(number * unit / fps)
        yield end - start
        start = end


def _is_repeated(frame: np.ndarray, previous: np.ndarray | None) -> bool:
    return previous is not None and np.array_equal(frame, previous)


# WebP: https://developers.google.com/speed/webp/docs/riff_container


def _write_webp(frames: Iterable[np.ndarray], stream: IO[bytes], fps: float, quality: int) -> None:
    previous = None
    for frame, duration in zip(frames, _split_duration(fps, 1000), strict=False):
        height, width, channels = frame.shape
        if previous is None:
            transparent = channels == 4
            canvas = _uint24(width - 1) + _uint24(height - 1)
            features = bytes([0x02 | 0x10 * transparent, 0, 0, 0])
            stream.write(b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", features + canvas))
            stream.write(_chunk(b"ANIM", struct.pack("<IH", 0, FOREVER)))
        if _is_repeated(frame, previous):
            # A transparent pixel on the canvas changes nothing, and takes a few bytes.
            size, blend, image = _uint24(0) * 2, 0, _encode_webp(np.zeros((1, 1, 4), np.uint8), 100)
        else:
            size, blend, image = canvas, 2, _encode_webp(frame, quality)
        header = bytes(6) + size + _uint24(duration) + bytes([blend])
        stream.write(_chunk(b"ANMF", header + image))
        previous = frame.copy()
    length = stream.tell()
    stream.seek(4)
    stream.write(struct.pack("<I", length - 8))
    stream.seek(0, io.SEEK_END)


def _encode_webp(frame: np.ndarray, quality: int) -> bytes:
    """Return the chunks of a frame's data and alpha, encoded as an image of its own."""
    buffer = io.BytesIO()
    # Method 2 is several times faster than the default, for files a few percent larger.
    options: dict[str, Any] = (
        {"lossless": True, "exact": True, "quality": 30, "method": 2}
        if quality == 100
        else {"quality": quality, "method": 2}
    )
    # WebP has no gray images.
    as_pillow(to_rgb(frame) if frame.shape[-1] == 1 else frame).save(buffer, "WEBP", **options)
    content, start, parts = buffer.getvalue(), 12, []
    while start < len(content):
        length = 8 + struct.unpack_from("<I", content, start + 4)[0]
        length += length % 2
        if content[start : start + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            parts.append(content[start : start + length])
        start += length
    return b"".join(parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _uint24(number: int) -> bytes:
    return number.to_bytes(3, "little")


# GIF: https://www.w3.org/Graphics/GIF/spec-gif89a.txt


def _write_gif(frames: Iterable[np.ndarray], stream: IO[bytes], fps: float, dither: bool) -> None:
    previous = None
    for frame, duration in zip(frames, _split_duration(fps, 100), strict=False):
        height, width, channels = frame.shape
        if previous is None:
            # No table of colors for all frames: each has its own.
            stream.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
            stream.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", FOREVER, 0))
        options: dict[str, Any] = {"duration": 10 * duration, "include_color_table": True}
        if channels == 4:
            # Each frame is removed before the next, whose transparent pixels would show it.
            image, options["transparency"], options["disposal"] = _quantize(frame, dither), 255, 2
        elif _is_repeated(frame, previous):
            # A transparent pixel changes nothing.
            image, options["transparency"] = Image.new("P", (1, 1)), 0
            image.putpalette(bytes(6))
        else:
            image, options["disposal"] = _quantize(frame, dither), 1
        for part in GifImagePlugin.getdata(image, **options):
            stream.write(part)
        previous = frame.copy()
    stream.write(b";")


def _quantize(frame: np.ndarray, dither: bool) -> Image.Image:
    """Return an image with a palette; of a transparent one, color 255 is transparent."""
    channels = frame.shape[-1]
    if channels == 1:
        return as_pillow(frame).convert("P")
    color = np.ascontiguousarray(frame[..., :3])
    step = max(1, round((color.shape[0] * color.shape[1] / PALETTE_PIXELS) ** 0.5))
    sample = Image.fromarray(np.ascontiguousarray(color[::step, ::step]))
    found = sample.quantize(256 - (channels == 4), Image.Quantize.MEDIANCUT, kmeans=1)
    if step > 1 or dither:
        found = Image.fromarray(color).quantize(
            palette=found, dither=Image.Dither.FLOYDSTEINBERG if dither else Image.Dither.NONE
        )
    if channels == 3:
        return found
    palette = bytes(found.getpalette() or [])
    levels = np.where(frame[..., 3] < GIF_ALPHA, 255, np.asarray(found)).astype(np.uint8)
    image = Image.fromarray(levels).convert("P")
    image.putpalette(palette.ljust(768, b"\0"))
    return image


def _import_av() -> Any:
    try:
        import av
    except ImportError as error:
        raise GanvasError(
            f"MP4 needs PyAV, which isn't installed: run `{install_command('video')}`, or choose "
            "another format of webp, gif and frames."
        ) from error
    return av


def _write_mp4(frames: Iterable[np.ndarray], stream: IO[bytes], fps: float, quality: int) -> None:
    # FFmpeg opens the file again by its name to move the index to the start.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        _encode_mp4(frames, file, fps, quality)
        with file.open("rb") as encoded:
            shutil.copyfileobj(encoded, stream)


def _encode_mp4(frames: Iterable[np.ndarray], file: Path, fps: float, quality: int) -> None:
    av = _import_av()
    # With the index at the start, a web page plays the film while it loads.
    with av.open(str(file), "w", options={"movflags": "+faststart"}) as container:
        video = None
        for frame in frames:
            if video is None:
                video = container.add_stream(
                    "libx264",
                    rate=Fraction(fps).limit_denominator(1001),
                    # Lossless H.264, of factor 0, plays in hardly any player.
                    options={"crf": str(min(51, 108 - quality)), "preset": "medium"},
                )
                height, width = (side + side % 2 for side in frame.shape[:2])
                video.height, video.width, video.pix_fmt = height, width, "yuv420p"
                _tag_colors(video.codec_context, av)
            padding = [(0, side % 2) for side in frame.shape[:2]]
            padded = np.pad(to_rgb(frame), [*padding, (0, 0)], mode="edge")
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
            converted = picture.reformat(
                format="yuv420p", dst_colorspace=av.video.reformatter.Colorspace.ITU709
            )
            for packet in video.encode(converted):
                container.mux(packet)
        for packet in video.encode() if video else ():
            container.mux(packet)


def _tag_colors(context: Any, av: Any) -> None:
    """Record the conversion to YUV; players would guess another one for small films."""
    context.colorspace = av.video.reformatter.Colorspace.ITU709
    context.color_primaries = context.color_trc = 1
    context.color_range = av.video.reformatter.ColorRange.MPEG


def _write_zip(frames: Iterable[np.ndarray], stream: IO[bytes]) -> None:
    # PNG is compressed.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for number, frame in enumerate(frames):
            # A fixed time, so that the same film has the same bytes.
            archive.writestr(zipfile.ZipInfo(_name_frame(number)), encode_png(frame, fast=True))


def _write_folder(frames: Iterable[np.ndarray], folder: Path) -> int:
    unfinished = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    checked = _CheckedFrames(frames, "frames")
    try:
        for number, frame in enumerate(checked):
            write_png(unfinished / _name_frame(number), frame)
        replace_folder(folder, unfinished)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return checked.count


def _name_frame(number: int) -> str:
    return f"frame_{number:06d}.png"
