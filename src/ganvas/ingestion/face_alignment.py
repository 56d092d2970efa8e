"""Detect faces in unaligned images and align them like those of CelebA."""

import functools
import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.extras import install_command
from ganvas.ingestion.color_conversion import composite

# Width and height of CelebA's aligned images, and the side of packed images up to which faces are
# aligned in this resolution; for larger ones it is a multiple.
ALIGNED, MAX_ALIGNED_SIDE = (178, 218), 256
# x and y, from the center of the first pixel, of the left eye, right eye, nose and corners of the
# mouth in aligned images: medians, rounded to half a pixel, of MTCNN's landmarks in 299 of 300
# images, so that its systematic errors cancel out. The eyes and the middle of the mouth are within
# a pixel of those of the published align_face_celeba.m.
LANDMARKS = np.array([(69, 111.5), (108, 111.5), (88, 135.5), (71, 152), (105.5, 152)])
# Longer sides of the copies on which faces are detected. Time grows with the area, so the larger
# copy is used only if the largest face is small in the smaller one.
DETECTION_SIDES = (512, 1024)
# The same for all faces of a group, many of which are small in a copy of 1024 pixels.
GROUP_SIDE = 2048
# Confidence of a detection among all faces: of few pixels, patterns look like faces too.
MIN_SCORE = 0.9
# Factor by which a face of a group may be enlarged: those of few pixels, in the background, would
# be blurred. A face of average size that is 20 pixels wide is enlarged by this to images of 64.
MAX_ENLARGEMENT = 1.5
# MTCNN's last network has an input of 48×48 pixels: landmarks of smaller faces are imprecise.
MIN_FACE = 48
# Input of MTCNN's first network; smaller images have no face.
MIN_SIDE = 12
# Proposals per scale, which are compared pairwise: a fine pattern has 80,000 of them in a copy of
# 1024×1024 pixels, which would take 45 GiB.
MAX_PROPOSALS = 500
# The aligned image is sampled at twice its size and reduced, which avoids aliasing.
OVERSAMPLING = 2
# Limit of the size of the aligned frame, in longer sides of the image; a face is smaller.
MAX_FRAME = 4

_lock = threading.Lock()


class AlignedFace(NamedTuple):
    """An aligned face.

    Attributes:
        image: The aligned image, of 178×218 pixels or a multiple.
        size: Width and height of its frame in pixels of the original.
    """

    image: Image.Image
    size: tuple[int, int]


def align_face(image: Image.Image, size: tuple[int, int] = ALIGNED) -> AlignedFace | None:
    """Align the largest face of an image as in CelebA's aligned images.

    Five landmarks are detected by MTCNN (Zhang et al. 2016, arXiv 1604.02878). The image is
    translated, rotated and scaled so that they fit the average landmarks in the least-squares
    sense. Pixels outside of the image repeat its edge. The result is deterministic.

    Args:
        image: An upright image in mode RGB or RGBA, of any size.
        size: Width and height in pixels of the images that are made of the result.

    Returns:
        The aligned image in the same mode; None if no face is detected.

    Raises:
        GanvasError: The package mtcnn is not installed.

    Example:
        >>> align_face(Image.open("portrait.jpg").convert("RGB")).image.size
        (178, 218)
    """
    landmarks = find_landmarks(composite(image))
    fit = None if landmarks is None else _fit_face(image, landmarks)
    return None if fit is None else _align(image, fit, size)


def align_faces(image: Image.Image, size: tuple[int, int]) -> list[AlignedFace]:
    """Align every face of a group like `align_face`, from left to right.

    Faces that are only a few pixels wide, as in the background, are left out: those that images of
    the given size would show enlarged by more than `MAX_ENLARGEMENT`.

    Args:
        image: An upright image in mode RGB or RGBA, of any size.
        size: Width and height in pixels of the images that are made of the result.

    Returns:
        The aligned images in the same mode; none if there is no face of enough pixels.

    Raises:
        GanvasError: The package mtcnn is not installed.
    """
    fits = [_fit_face(image, landmarks) for landmarks in find_all_landmarks(composite(image))]
    largest = MAX_ENLARGEMENT / max(side / own for side, own in zip(size, ALIGNED, strict=True))
    return [_align(image, fit, size) for fit in fits if fit is not None and abs(fit[0]) <= largest]


def _align(image: Image.Image, fit: tuple[complex, complex], size: tuple[int, int]) -> AlignedFace:
    factor, offset = fit
    resolution = 1
    if max(size) > MAX_ALIGNED_SIDE:
        ratios = [side / own for side, own in zip(size, ALIGNED, strict=True)]
        resolution = math.ceil(max(ratios))
    aligned = _warp(image, factor * resolution, offset * resolution, resolution)
    width, height = (max(1, round(side / abs(factor))) for side in ALIGNED)
    return AlignedFace(aligned, (width, height))


def _fit_face(image: Image.Image, landmarks: np.ndarray) -> tuple[complex, complex] | None:
    """Fit the aligned frame to landmarks; None if they are no face."""
    factor, offset = fit_similarity(landmarks, LANDMARKS + 0.5)
    # Mirrored or coinciding landmarks, which fit only at a tiny scale, are no face.
    is_face = abs(factor) * max(image.size) * MAX_FRAME >= max(ALIGNED)
    return (factor, offset) if is_face else None


def find_landmarks(image: Image.Image) -> np.ndarray | None:
    """Detect the landmarks of the largest face of an image with MTCNN.

    Args:
        image: An image in mode RGB, of any size.

    Returns:
        x and y of the left eye, right eye, nose and left and right corner of the mouth, as seen
        in the image, in pixels from its top left corner: float64 of shape (5, 2). None if no face
        is detected.

    Raises:
        GanvasError: The package mtcnn is not installed.
    """
    landmarks = None
    for side in DETECTION_SIDES:
        copy = _downscale(image, side / max(*image.size, 1))
        faces = _detect(copy)
        if not len(faces):
            continue
        sides = faces[:, 3:5] - faces[:, 1:3]
        largest = sides.prod(axis=1).argmax()
        landmarks = _read_landmarks(faces[largest], image, copy)
        if sides[largest].max() >= MIN_FACE or copy.size == image.size:
            break
    return landmarks


def find_all_landmarks(image: Image.Image) -> list[np.ndarray]:
    """Detect the landmarks of all faces of an image, from left to right.

    Returns:
        Landmarks of each face as `find_landmarks` returns them.
    """
    copy = _downscale(image, GROUP_SIDE / max(*image.size, 1))
    faces = [face for face in _detect(copy) if face[5] >= MIN_SCORE]
    found = [_read_landmarks(face, image, copy) for face in faces]
    return sorted(found, key=lambda landmarks: tuple(landmarks.mean(axis=0)))


def _detect(image: Image.Image) -> np.ndarray:
    """Return a row for each face: number, corners of the box, score, five x and five y."""
    with _lock:
        detector = _load_detector()
    if min(image.size) < MIN_SIDE:
        return np.empty((0, 16))
    # Without a detection the array has no rows and fewer columns.
    faces: np.ndarray = detector.detect_faces(
        np.asarray(image), output_type="numpy", box_format="xyxy"
    )
    return faces


def _read_landmarks(face: np.ndarray, image: Image.Image, copy: Image.Image) -> np.ndarray:
    """Return the landmarks of a face that was detected in a copy of an image."""
    # MTCNN counts from the center of the first pixel.
    landmarks: np.ndarray = (face[6:16].reshape(2, 5).T + 0.5) * image.size / copy.size
    return landmarks


def fit_similarity(points: np.ndarray, targets: np.ndarray) -> tuple[complex, complex]:
    """Fit the similarity transform from points to targets by least squares.

    This is the transform of Umeyama (1991) in the plane, without reflections. With complex
    numbers z = x + iy it is a linear regression: targets ≈ factor · z + offset.

    Args:
        points: x and y of each point, shape (N, 2), not all equal.
        targets: x and y of their targets, shape (N, 2).

    Returns:
        `factor`, whose absolute value is the scale and whose argument is the angle, and `offset`.
    """
    z, w = points @ (1, 1j), targets @ (1, 1j)
    centered = z - z.mean()
    factor = np.vdot(centered, w) / np.vdot(centered, centered)
    return complex(factor), complex(w.mean() - factor * z.mean())


def _warp(image: Image.Image, factor: complex, offset: complex, resolution: int = 1) -> Image.Image:
    """Return the aligned image, which maps a point z of the image to factor · z + offset."""
    aligned = (ALIGNED[0] * resolution, ALIGNED[1] * resolution)
    # Pillow's affine transform does not antialias, so the image is downscaled first.
    small = _downscale(image, OVERSAMPLING * abs(factor))
    scale_x, scale_y = small.width / image.width, small.height / image.height
    width, height = (OVERSAMPLING * side for side in aligned)
    # Inverse transform from a point of the oversampled result to one of the small image.
    inverse, start = 1 / (factor * OVERSAMPLING), -offset / factor
    matrix = np.array(
        [
            (scale_x * inverse.real, -scale_x * inverse.imag, scale_x * start.real),
            (scale_y * inverse.imag, scale_y * inverse.real, scale_y * start.imag),
        ]
    )
    corners = matrix @ [(0, width, 0, width), (0, 0, height, height), (1, 1, 1, 1)]
    # Pad by the two pixels that bicubic interpolation needs on each side.
    left, top = np.floor(corners.min(axis=1)).astype(int) - 2
    right, bottom = np.ceil(corners.max(axis=1)).astype(int) + 2
    rows = np.arange(top, bottom).clip(0, small.height - 1)
    columns = np.arange(left, right).clip(0, small.width - 1)
    padded = Image.fromarray(np.asarray(small)[rows[:, None], columns])
    matrix[:, 2] -= left, top
    warped = padded.transform(
        (width, height), Image.Transform.AFFINE, matrix.ravel().tolist(), Image.Resampling.BICUBIC
    )
    return warped.resize(aligned, Image.Resampling.LANCZOS)


def _downscale(image: Image.Image, scale: float) -> Image.Image:
    """Downscale an image; return it unchanged if the scale is 1 or more."""
    if scale >= 1:
        return image
    size = [max(1, math.ceil(side * scale)) for side in image.size]
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


@functools.cache
def _load_detector() -> Any:  # mtcnn.MTCNN, of a package that may be missing
    try:
        import mtcnn
        from mtcnn.stages import StageONet, StagePNet, StageRNet
    except ImportError as error:
        raise GanvasError(
            "Face alignment needs the package mtcnn, which is not installed: run "
            f"{install_command('faces')}, or set ingest.align=none."
        ) from error
    import keras

    # On the CPU, so that results do not depend on the accelerator, and worker processes do not
    # compete for its memory.
    with keras.device("cpu:0"):
        stages = [StagePNet(), StageRNet(), StageONet()]
        stages[0]._model = _limit_proposals(stages[0].model)
        return mtcnn.MTCNN(stages, device="CPU:0")


def _limit_proposals(network: Callable[..., Any]) -> Callable[[Any], tuple[Any, Any]]:
    """Wrap the proposal network so that each scale has only the most likely proposals."""
    import keras

    def propose(images: Any) -> tuple[Any, Any]:
        boxes, scores = network(images)
        scores = np.array(scores)
        faces = scores[..., 1].ravel()
        faces[np.argsort(-faces, kind="stable")[MAX_PROPOSALS:]] = 0
        scores[..., 1] = faces.reshape(scores.shape[:-1])
        return boxes, keras.ops.convert_to_tensor(scores)

    return propose
