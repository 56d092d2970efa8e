"""Faces found in unaligned images and laid like those of CelebA."""

import functools
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from ganvas.errors import GanvasError

# CelebA's aligned images, width and height.
ALIGNED = (178, 218)
# Left eye, right eye, nose and corners of the mouth as the image shows them, x and y from the
# center of the first pixel. Medians, rounded to half a pixel, of what MTCNN finds in 299 of 300
# aligned images, so what it always puts a little aside cancels out. The published function
# align_face_celeba.m puts the eyes and the middle of the mouth within a pixel of these.
LANDMARKS = np.array([(69, 111.5), (108, 111.5), (88, 135.5), (71, 152), (105.5, 152)])
# Longer sides of the copies on which faces are looked for. The time grows with the area, so the
# finer copy is for images whose largest face is small in the coarser.
COPIES = (512, 1024)
# The last network sees a face on 48×48 pixels: landmarks of smaller faces are coarse.
FACE = 48
# The first network's window: in smaller images there is nothing to look for.
WINDOW = 12
# The proposals of a scale are compared each with each: a fine pattern gives 80,000 of them on a
# copy of 1024×1024 pixels, which would take 45 GiB.
PROPOSALS = 500
# The aligned image is drawn at twice its size and then reduced, so a turned image keeps its
# detail without aliasing.
OVERSAMPLING = 2
# How many times the image's longer side the aligned frame may span; a face spans less than it.
FRAME_REACH = 4

_lock = threading.Lock()


def align_face(image: Image.Image) -> Image.Image | None:
    """Lay the largest face of an image as CelebA's aligned images show theirs.

    Five landmarks are found by MTCNN (Zhang et al. 2016, arXiv 1604.02878), and the image is
    shifted, turned and scaled so that they come nearest, in the least squares, to where they
    usually are. What lies outside of the image repeats its edge.

    Args:
        image: An upright image in mode RGB, of any size.

    Returns:
        The aligned image, RGB of 178×218 pixels; None where no face is found. The same
        image always gives the same answer.

    Raises:
        GanvasError: The package mtcnn is not installed.
    """
    landmarks = find_landmarks(image)
    if landmarks is None:
        return None
    turn, shift = fit_similarity(landmarks, LANDMARKS + 0.5)
    # Points that lie mirrored or on one spot fit at no sensible scale: that is no face.
    if abs(turn) * max(image.size) * FRAME_REACH < max(ALIGNED):
        return None
    return _warp(image, turn, shift)


def find_landmarks(image: Image.Image) -> np.ndarray | None:
    """Find the landmarks of an image's largest face with MTCNN.

    Args:
        image: An image in mode RGB, of any size.

    Returns:
        x and y of the left eye, the right eye, the nose and the left and right corner of the
        mouth, as the image shows them, in pixels from the image's top left corner: float64
        of shape (5, 2). None where no face is found.

    Raises:
        GanvasError: The package mtcnn is not installed.
    """
    with _lock:
        detector = _load_detector()
    landmarks = None
    for longest in COPIES:
        copy = _shrink(image, longest / max(*image.size, 1))
        if min(copy.size) < WINDOW:
            continue
        # Rows of a number, the box's corners, a score, five x and five y. Where one of the
        # networks finds nothing the table has no rows and fewer columns.
        faces = detector.detect_faces(np.asarray(copy), output_type="numpy", box_format="xyxy")
        if not len(faces):
            continue
        sides = faces[:, 3:5] - faces[:, 1:3]
        largest = sides.prod(axis=1).argmax()
        # MTCNN counts from the center of the first pixel.
        landmarks = (faces[largest, 6:16].reshape(2, 5).T + 0.5) * image.size / copy.size
        if sides[largest].max() >= FACE or copy.size == image.size:
            break
    return landmarks


def fit_similarity(points: np.ndarray, onto: np.ndarray) -> tuple[complex, complex]:
    """Fit the shift, turn and scale that bring points nearest to others in the least squares.

    This is the transform of Umeyama (1991) in the plane. Written with complex numbers z = x + iy
    it is an ordinary regression, onto ≈ turn · z + shift, which can't mirror.

    Args:
        points: x and y of each point, shape (N, 2), not all the same.
        onto: Where each of them should come to lie, shape (N, 2).

    Returns:
        The factor `turn`, whose absolute value is the scale and whose angle is the angle, and
        the summand `shift`.
    """
    z, w = points @ (1, 1j), onto @ (1, 1j)
    centered = z - z.mean()
    turn = np.vdot(centered, w) / np.vdot(centered, centered)
    return complex(turn), complex(w.mean() - turn * z.mean())


def _warp(image: Image.Image, turn: complex, shift: complex) -> Image.Image:
    """Draw the aligned image, whose point turn · z + shift shows the image's point z."""
    # Pillow's affine transform takes single pixels however much it shrinks.
    small = _shrink(image, OVERSAMPLING * abs(turn))
    across, down = small.width / image.width, small.height / image.height
    width, height = (OVERSAMPLING * side for side in ALIGNED)
    # Back from a point of the large drawing to one of the small image.
    back, start = 1 / (turn * OVERSAMPLING), -shift / turn
    matrix = np.array(
        [
            (across * back.real, -across * back.imag, across * start.real),
            (down * back.imag, down * back.real, down * start.imag),
        ]
    )
    corners = matrix @ [(0, width, 0, width), (0, 0, height, height), (1, 1, 1, 1)]
    # Bicubic interpolation looks at two pixels to each side.
    left, top = np.floor(corners.min(axis=1)).astype(int) - 2
    right, bottom = np.ceil(corners.max(axis=1)).astype(int) + 2
    rows = np.arange(top, bottom).clip(0, small.height - 1)
    columns = np.arange(left, right).clip(0, small.width - 1)
    part = Image.fromarray(np.asarray(small)[rows[:, None], columns])
    matrix[:, 2] -= left, top
    drawn = part.transform(
        (width, height), Image.Transform.AFFINE, matrix.ravel().tolist(), Image.Resampling.BICUBIC
    )
    return drawn.resize(ALIGNED, Image.Resampling.LANCZOS)


def _shrink(image: Image.Image, factor: float) -> Image.Image:
    """Scale an image down, or leave it as it is where the factor is one or more."""
    if factor >= 1:
        return image
    size = [max(1, math.ceil(side * factor)) for side in image.size]
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


@functools.cache
def _load_detector() -> Any:  # mtcnn.MTCNN, of a package that may be missing
    try:
        import mtcnn
        from mtcnn.stages import StageONet, StagePNet, StageRNet
    except ImportError as error:
        raise GanvasError(
            "Finding faces needs the package mtcnn, which is not installed: run "
            'pip install "ganvas[faces]", or do without alignment.'
        ) from error
    import keras

    # On the processor: the images must not depend on whether there is an accelerator, and many
    # processes would ask one accelerator for all its memory.
    with keras.device("cpu:0"):
        stages = [StagePNet(), StageRNet(), StageONet()]
        stages[0]._model = _limit_proposals(stages[0].model)
        return mtcnn.MTCNN(stages, device="CPU:0")


def _limit_proposals(network: Callable[..., Any]) -> Callable[[Any], tuple[Any, Any]]:
    """Let a scale of an image have the most likely proposals alone."""
    import keras

    def propose(images: Any) -> tuple[Any, Any]:
        boxes, scores = network(images)
        scores = np.array(scores)
        chances = scores[..., 1].ravel()
        chances[np.argsort(-chances, kind="stable")[PROPOSALS:]] = 0
        scores[..., 1] = chances.reshape(scores.shape[:-1])
        return boxes, keras.ops.convert_to_tensor(scores)

    return propose
