"""Directions in a generator's latent space W, edits along them, and how they are saved.

A direction is a vector that is added to an intermediate latent w, see
`ganvas.networks.latent_spaces`, to change one property of its image. Strength 1 adds the vector
once, which is one standard deviation of the generator's own w along it, so that the same strengths
mean the same for all directions and generators.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganvas.errors import GanvasError

# Names are keys, labels on pages and names of files: letters of any script, no folders.
NAME = re.compile(r"\w[\w .,+=()-]{0,62}[\w)+]|\w")
NAME_RULE = (
    "1 to 64 letters, digits, spaces and the characters _ . , + = ( ) -, with a letter or digit "
    "at the beginning"
)
ARRAYS = ("names", "methods", "vectors", "low", "high", "effect", "about")


class Direction(NamedTuple):
    """A direction in W.

    Attributes:
        name: As the user calls it, see `NAME_RULE`.
        method: `ganspace`, `sefa` or `supervised`.
        vector: float32 of shape `w_shape`. Its length is one standard deviation of the generator's
            w along it.
        low: Least strength at which images are plausible.
        high: Largest such strength.
        effect: Mean change per unit of strength within `low` and `high`: of the attribute, if
            supervised, in the attribute's units; of the others, the distance of features.
        about: How it was found and what it changes; content of JSON.
    """

    name: str
    method: str
    vector: np.ndarray
    low: float
    high: float
    effect: float
    about: dict[str, Any]


def edit_w(w: np.ndarray, edits: Sequence[tuple[Direction, float | np.ndarray]]) -> np.ndarray:
    """Move intermediate latents along directions.

    Edits are sums: their order does not matter, and the negative strengths undo them.

    Args:
        w: float32 (N, *`w_shape`).
        edits: Directions with their strengths, a number or an array (N,), of any size: the caller
            limits them to `Direction.low` and `high`.

    Returns:
        float32 of the shape of `w`.

    Raises:
        GanvasError: A direction is of another generator.

    Example:
        >>> right = Direction("right", "sefa", np.array([2, 0], np.float32), -2, 2, 1, {})
        >>> edit_w(np.zeros((1, 2), np.float32), [(right, 1.5)]).tolist()
        [[3.0, 0.0]]
    """
    moved = np.array(w, np.float32)
    for direction, strength in edits:
        if direction.vector.shape != moved.shape[1:]:
            raise GanvasError(
                f"The direction '{direction.name}' has the shape {direction.vector.shape}, but "
                f"latents of this generator have {moved.shape[1:]}: use a direction of the same "
                "generator."
            )
        strengths = np.broadcast_to(np.asarray(strength, np.float32), len(moved))
        moved += strengths.reshape(-1, *[1] * direction.vector.ndim) * direction.vector
    return moved


def check_name(name: str) -> None:
    """Raise a `GanvasError` if a direction can't have a name."""
    if not NAME.fullmatch(name):
        raise GanvasError(f"'{name}' can't be the name of a direction: use {NAME_RULE}.")


def as_name(text: str) -> str:
    """Return any text as a name that a direction can have.

    Example:
        >>> as_name(" Genre/Style: night & sea? ")
        'Genre-Style- night - sea'
    """
    cleaned = re.sub(r"[^\w .,+=()-]", "-", text.strip())
    cleaned = re.sub(r"^\W+|[^\w)+]+$", "", cleaned)[:64].rstrip(" .,=(-")
    return cleaned or "direction"


def merge_directions(old: Iterable[Direction], new: Iterable[Direction]) -> list[Direction]:
    """Add directions to others; those of the same name are replaced in their place.

    Names are compared without regard to case, since some file systems have no case.

    Example:
        >>> a, b, c = (Direction(x, "sefa", np.ones(1), -1, 1, 0, {}) for x in "abA")
        >>> [x.name for x in merge_directions([a, b], [c])]
        ['A', 'b']
    """
    merged = {x.name.casefold(): x for x in old}
    merged.update((x.name.casefold(), x) for x in new)
    return list(merged.values())


def to_arrays(directions: Iterable[Direction]) -> dict[str, np.ndarray]:
    """Return directions as plain arrays, for `directions.npz`; none are an empty dict."""
    directions = list(directions)
    if not directions:
        return {}
    return {
        "names": np.array([x.name for x in directions]),
        "methods": np.array([x.method for x in directions]),
        "vectors": np.stack([x.vector for x in directions]).astype(np.float32),
        "low": np.array([x.low for x in directions], np.float64),
        "high": np.array([x.high for x in directions], np.float64),
        "effect": np.array([x.effect for x in directions], np.float64),
        "about": np.array([json.dumps(x.about, allow_nan=False) for x in directions]),
    }


def from_arrays(
    arrays: Mapping[str, np.ndarray], shape: tuple[int, ...] | None = None
) -> list[Direction]:
    """Return directions of plain arrays, the inverse of `to_arrays`.

    Args:
        arrays: Content of `directions.npz`, which may be damaged; unknown arrays are ignored.
        shape: `w_shape` of the generator that they must fit; None takes any.

    Raises:
        GanvasError: They are no directions, or those of another generator.

    Example:
        >>> a = Direction("age", "supervised", np.ones(2, np.float32), -2.0, 2.0, 0.1, {})
        >>> from_arrays(to_arrays([a]))[0].name
        'age'
    """
    if not arrays:
        return []
    try:
        directions = _read(arrays)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise _refuse(f"damaged ({error})") from error
    if shape is not None and directions and directions[0].vector.shape != shape:
        raise _refuse(
            f"of another generator, whose latents have the shape {directions[0].vector.shape} in "
            f"place of {shape}"
        )
    return directions


def _refuse(why: str) -> GanvasError:
    return GanvasError(
        f"The directions in directions.npz are {why}: delete the file, and find them again by "
        "`kedro run --pipelines=directions`."
    )


def _read(arrays: Mapping[str, np.ndarray]) -> list[Direction]:
    columns = [np.asarray(arrays[key]) for key in ARRAYS]
    names, methods, vectors, low, high, effect, abouts = columns
    if {len(column) for column in columns} != {len(names)}:
        raise ValueError("their arrays have different lengths")
    numbers = [np.asarray(x, np.float64) for x in (vectors, low, high, effect)]
    if not all(np.isfinite(x).all() for x in numbers):
        raise ValueError("they have values that are no numbers")
    if any(x.ndim != 1 for x in columns if x is not vectors) or vectors.ndim not in (2, 3):
        raise ValueError("their arrays have wrong shapes")
    directions = []
    for row in range(len(names)):
        about = json.loads(str(abouts[row]))
        if not NAME.fullmatch(str(names[row])) or not isinstance(about, dict):
            raise ValueError(f"'{names[row]}' is no direction")
        if not low[row] <= high[row]:
            raise ValueError(f"'{names[row]}' has a range without strengths")
        directions.append(
            Direction(
                str(names[row]),
                str(methods[row]),
                np.asarray(vectors[row], np.float32),
                float(low[row]),
                float(high[row]),
                float(effect[row]),
                about,
            )
        )
    if len({x.name.casefold() for x in directions}) < len(directions):
        raise ValueError("two have the same name")
    return directions


def find_scale(w: np.ndarray, vector: np.ndarray) -> float:
    """Return the standard deviation of w, (N, D), along a vector (D,) of any length above 0."""
    unit = np.asarray(vector, np.float64) / np.linalg.norm(vector)
    deviation = float((np.asarray(w, np.float64) @ unit).std())
    return deviation if math.isfinite(deviation) else 0.0
