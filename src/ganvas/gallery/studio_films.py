"""Films of the latent studio: through keyframes, within the time and the memory of a request."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, cast

import numpy as np

from ganvas.errors import GanvasError
from ganvas.gallery.batching import BusyError, RequestTimeoutError, acquire
from ganvas.gallery.encoding import scale_down
from ganvas.gallery.model_store import LoadedModel
from ganvas.gallery.request_checks import InvalidRequestError
from ganvas.gallery.studio import Latents, resolve_points
from ganvas.gallery.studio_schemas import FilmRequest
from ganvas.latents.films import count_frames, interpolate_keyframes, least_frames
from ganvas.latents.video import check_film, write_film
from ganvas.networks.batches import batch_size

# Frames of a film, and pixels of all of them together: 256 frames of 512×512.
MAX_FRAMES, MAX_FILM_PIXELS = 900, 2**26
# Films that are made at a time, and the seconds that each may take, less than proxies wait.
MAX_FILMS, FILM_SECONDS = 2, 50
# Seconds between attempts to generate a further part of a film.
PATIENCE = 0.5
# Bytes of a film that are kept in memory; a larger one is a temporary file without a name.
MAX_FILM_MEMORY = 2**24


def make_film(model: LoadedModel, request: FilmRequest) -> IO[bytes]:
    """Generate a film through keyframes, part by part, so that other requests take their turns.

    Returns:
        The film's file, to be closed.

    Raises:
        InvalidRequestError: The film has too few frames for its keyframes or too many, MP4 needs
            a package that is not installed, or see `ganvas.gallery.studio.resolve_points`.
        BusyError, RequestTimeoutError: Other films are being made, or it takes too long.
    """
    frames = _count_film(model, request)
    with acquire(_films, 0, BusyError):
        deadline = time.monotonic() + FILM_SECONDS
        keyframes = resolve_points(model, request.keyframes, "keyframes")
        path = interpolate_keyframes(
            *keyframes,
            frames,
            request.interpolation,
            request.easing,
            request.loop,
            center=model.batcher.truncate(*keyframes, 0.0),
        )
        images = _generate_frames(model, Latents(*path), request.side, deadline)
        with ExitStack() as stack:
            spooled = stack.enter_context(tempfile.SpooledTemporaryFile(MAX_FILM_MEMORY))
            file = cast(IO[bytes], spooled)
            write_film(images, request.format, request.fps, file)
            file.seek(0)
            # Without an error it stays open.
            stack.pop_all()
        return file


_films = threading.BoundedSemaphore(MAX_FILMS)


def _count_film(model: LoadedModel, request: FilmRequest) -> int:
    frames = count_frames(request.seconds, request.fps)
    least = least_frames(len(request.keyframes), request.loop)
    most = min(MAX_FRAMES, max(MAX_FILM_PIXELS // (model.height * model.width), 1))
    try:
        check_film(request.format, request.fps)
    except GanvasError as error:
        fault = "GIF has at most 50 frames a second: lower fps, or"
        if request.format == "mp4":
            fault = "MP4 needs the extra `video`, which is not installed here:"
        raise InvalidRequestError(f"format: {fault} choose webp or zip.") from error
    if not least <= frames <= most:
        raise InvalidRequestError(
            f"seconds: the film would have {frames} frames, and one of {len(request.keyframes)} "
            f"keyframes of {model.size_text} pixels may have {least} to {most}: change seconds or "
            "fps."
        )
    return frames


def _generate_frames(
    model: LoadedModel, latents: Latents, side: int, deadline: float
) -> Iterator[np.ndarray]:
    size = batch_size(model.height, model.width)
    for start in range(0, len(latents.w), size):
        part = Latents(*(rows[start : start + size] for rows in latents))
        for image in _generate_part(model, part, deadline, is_patient=start > 0):
            # The time that the encoder takes for a frame counts, too.
            if time.monotonic() > deadline:
                raise RequestTimeoutError
            yield scale_down(image, side)


def _generate_part(
    model: LoadedModel, part: Latents, deadline: float, is_patient: bool
) -> np.ndarray:
    while time.monotonic() < deadline:
        try:
            return model.batcher.synthesize(*part)
        except (BusyError, RequestTimeoutError):
            # A film that has begun waits where a new request would be refused.
            if not is_patient:
                raise
        time.sleep(PATIENCE)
    raise RequestTimeoutError
