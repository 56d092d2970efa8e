"""Node of the film pipeline."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ganvas.arrays import allocate
from ganvas.disk_space import format_bytes
from ganvas.errors import GanvasError
from ganvas.keras_types import Model
from ganvas.label_columns import read_class_list
from ganvas.latents.directions import from_arrays
from ganvas.latents.films import count_ways, interpolate_at, least_frames, place_frames
from ganvas.latents.video import FilmFormat, check_film, enlarge, suffix_of, write_film
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.latent_spaces import generate_batches_from_w, has_mapping, mean_w, w_shape
from ganvas.networks.styles import (
    count_layers,
    has_noise,
    mix_styles,
    select_layers,
    synthesize_batches,
)
from ganvas.pipelines.film.find_image import ImageFinder
from ganvas.pipelines.film.keyframes import DEFAULT_NUMBERS, KeyframeReader, Keyframes
from ganvas.pipelines.film.params import FilmParams, KeyframeParams
from ganvas.progress import track
from ganvas.visualization.image_grid import make_grid
from ganvas.visualization.reduced_images import as_cells

logger = logging.getLogger(__name__)

# Frames whose latents are computed at once.
BLOCK = 256
COLUMNS = 8


def make_film(
    generator: Model,
    classes: dict[str, Any],
    encoder: dict[str, np.ndarray],
    directions: dict[str, np.ndarray],
    folder: Path,
    params: FilmParams,
) -> np.ndarray:
    """Write a film through keyframes in each of the requested formats.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        classes: Content of `class_list.json`.
        encoder: Content of `encoder.npz`, which finds images of keyframes; may be empty.
        directions: Content of `directions.npz`, for edits; may be empty.
        folder: Folder of films.
        params: Parameters of the film.

    Returns:
        The frames of the keyframes as an image grid, uint8 (H', W', 3).

    Raises:
        GanvasError: A keyframe or a format can't be used, or there are too few frames.
    """
    for form in params.formats:
        check_film(form, params.fps)
    _check_styles(generator, params)
    table = read_class_list(classes)
    reader = KeyframeReader(
        generator,
        table,
        from_arrays(directions, w_shape(generator)),
        ImageFinder(generator, table, encoder),
        params.seed,
    )
    default = [KeyframeParams(number=number) for number in DEFAULT_NUMBERS]
    keyframes = reader.read(params.keyframes or default, "film.keyframes")
    mixing = params.style_mixing
    styles = None
    if mixing.keyframes:
        styles = reader.read(mixing.keyframes, "film.style_mixing.keyframes")
        _place(styles, params)
    positions = _place(keyframes, params)
    frames = allocate((params.frames, *generator.output_shape[1:]))
    generated = _generate(generator, keyframes, styles, params)
    for number, frame in enumerate(track(generated, "Generating", total=len(frames))):
        frames[number] = frame
    for form in params.formats:
        _write(frames, form, folder, params)
    exact = np.unique(positions, return_index=True)
    shown = [index for value, index in zip(*exact, strict=True) if value.is_integer()]
    return make_grid(as_cells(frames[shown]), min(len(shown), COLUMNS))


def _check_styles(generator: Model, params: FilmParams) -> None:
    """Raise an error if parameters need styles or noise that the generator doesn't have."""
    mixing = params.style_mixing
    if is_style_based(generator):
        if mixing.keyframes:
            select_layers(mixing.layers, count_layers(generator), "film.style_mixing.layers")
        if params.noise == "random" and not has_noise(generator):
            raise GanvasError(
                "film.noise=random needs a generator with noise, and this one has none "
                "(network.stylegan2.noise=false): leave the parameter out."
            )
        return
    for name, is_default in (
        ("noise", params.noise == "const"),
        ("style_mixing.keyframes", not mixing.keyframes),
    ):
        if not is_default:
            raise GanvasError(
                f"film.{name} needs a generator with styles, as of network.name=stylegan2, and "
                "this one has none: leave the parameter out."
            )


def _durations(keyframes: Keyframes, params: FilmParams) -> list[float]:
    # The last keyframe of a film that doesn't loop has no way to another.
    return keyframes.durations[: count_ways(len(keyframes.w), params.loop)]


def _place(keyframes: Keyframes, params: FilmParams) -> np.ndarray:
    """Return the positions of all frames, see `ganvas.latents.films.place_frames`."""
    hold = round(params.hold * params.fps)
    count = len(keyframes.w)
    least = least_frames(count, params.loop, hold)
    if params.frames < least:
        raise GanvasError(
            f"film.seconds={params.seconds:g} with film.fps={params.fps:g} are {params.frames} "
            f"frames, and {count} keyframes"
            + (f" with film.hold={params.hold:g}" if hold else "")
            + f" need {least} or more: make the film longer."
        )
    return place_frames(
        count, params.frames, params.easing, params.loop, _durations(keyframes, params), hold
    )


def _generate(
    generator: Model, keyframes: Keyframes, styles: Keyframes | None, params: FilmParams
) -> Iterator[np.ndarray]:
    """Generate the frames one by one."""
    ways = [
        (x, _place(x, params), _find_center(generator, x, params)) for x in (keyframes, styles) if x
    ]
    for start in range(0, params.frames, BLOCK):
        points = [
            interpolate_at(
                x.w,
                x.labels,
                positions[start : start + BLOCK],
                params.interpolation,
                params.loop,
                _durations(x, params),
                center,
            )
            for x, positions, center in ways
        ]
        w, labels = points[0]
        if not is_style_based(generator):
            batches = generate_batches_from_w(generator, w, labels)
        else:
            if styles:
                layers = select_layers(params.style_mixing.layers, w.shape[1])
                w = mix_styles(w, points[1][0], layers)
            numbers = range(start, start + len(w))
            batches = synthesize_batches(generator, w, params.noise, params.seed, numbers)
        for batch in batches:
            yield from batch


def _find_center(generator: Model, keyframes: Keyframes, params: FilmParams) -> np.ndarray | None:
    """Return the mean of W around which latents are interpolated; None: it is the origin."""
    if params.interpolation != "slerp" or not has_mapping(generator):
        return None
    return mean_w(generator, keyframes.labels)


def _write(frames: np.ndarray, form: FilmFormat, folder: Path, params: FilmParams) -> None:
    target = folder / f"{params.name}{suffix_of(form)}"
    enlarged = (enlarge(frame, params.scale, params.resampling) for frame in frames)
    tracked = track(enlarged, f"Writing {form}", total=len(frames))
    count = write_film(tracked, form, params.fps, target, params.quality, params.dither)
    files = [target] if target.is_file() else target.iterdir()
    size = format_bytes(sum(file.stat().st_size for file in files))
    logger.info("Film: %s (%d frames, %.3g s, %s)", target, count, count / params.fps, size)
    if form == "mp4" and frames.shape[-1] == 4:
        logger.info("MP4 has no transparency: the film is on white.")
