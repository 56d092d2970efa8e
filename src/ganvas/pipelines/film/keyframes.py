"""Points of the latent space that keyframes of parameters stand for."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ganvas.class_requests import read_values
from ganvas.errors import GanvasError
from ganvas.keras_types import Model
from ganvas.label_columns import ClassTable, LabelColumn, name_in_file
from ganvas.latents.directions import Direction, edit_w
from ganvas.latents.truncation import map_truncated, truncate_w
from ganvas.names import suggest_names
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.latent_spaces import map_to_w, mean_w, w_shape
from ganvas.networks.sampling import latent_dim, sample_latents
from ganvas.networks.styles import ClassMeans, find_class_means
from ganvas.pipelines.film.params import KeyframeParams
from ganvas.project_folder import resolve_path
from ganvas.saved_arrays import read_arrays

logger = logging.getLogger(__name__)

# Numbers of the samples that a film without keyframes passes through.
DEFAULT_NUMBERS = range(5)
# Arrays of an .npz file of latents: latents, and class weights, which it need not have.
# Where it has latents before the map to W, these are `z`.
W_ARRAY, Z_ARRAY, LABELS_ARRAY = "w", "z", "labels"
# Words of labels that YAML reads as true and as false.
BOOLEAN_WORDS = {True: ("yes", "true", "on"), False: ("no", "false", "off")}
# Sums of saved class weights differ from 1 by rounding at most.
TOLERANCE = 1e-3
# Larger values are no latents, but a file of something else.
MAX_LATENT = 1e4


class Keyframes(NamedTuple):
    """Keyframes in W.

    Attributes:
        w: float32 (n, *`w_shape`).
        labels: Class weights, float32 (n, K).
        durations: Relative durations until the next keyframe, (n,).
    """

    w: np.ndarray
    labels: np.ndarray
    durations: list[float]


# Finds images' latents: from a file and class weights (1, K) or None to w (1, *w_shape) and (1, K).
Invert = Callable[[Path, np.ndarray | None], tuple[np.ndarray, np.ndarray]]


class KeyframeReader:
    """Read keyframes of parameters as points of a generator's latent space.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        classes: Its classes.
        directions: Its directions.
        invert: Finds the latent of an image's file; called for each image.
        seed: Seed of keyframes that name none.
    """

    def __init__(
        self,
        generator: Model,
        classes: ClassTable,
        directions: Sequence[Direction],
        invert: Invert,
        seed: int = 0,
    ) -> None:
        self._generator, self._classes, self._invert = generator, classes, invert
        self._directions = {x.name.casefold(): x for x in directions}
        self._seed = seed

    def read(self, keyframes: Sequence[KeyframeParams], key: str) -> Keyframes:
        """Return the points of keyframes.

        Args:
            keyframes: At least one.
            key: The parameter that has them, for messages.

        Raises:
            GanvasError: A file, a class or a direction doesn't exist or doesn't fit.
        """
        found = []
        for place, keyframe in enumerate(keyframes):
            try:
                found.append(self._read(keyframe))
            except GanvasError as error:
                raise GanvasError(f"Keyframe {place + 1} of {key}: {error}") from error
        w, labels = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return Keyframes(w, labels, [x.duration for x in keyframes])

    def _read(self, keyframe: KeyframeParams) -> tuple[np.ndarray, np.ndarray]:
        labels = self._weigh(keyframe)
        if keyframe.image is not None:
            w, labels = self._invert(resolve_path(keyframe.image), labels)
            w = self._truncate(w, labels, keyframe.truncation)
        elif keyframe.latent is not None:
            w, labels = self._load(resolve_path(keyframe.latent), keyframe.row, labels)
            w = self._truncate(w, labels, keyframe.truncation)
        else:
            seed = self._seed if keyframe.seed is None else keyframe.seed
            number = keyframe.number or 0
            z = sample_latents(self._generator, number + 1, seed)[number:]
            if labels is None:
                labels = self._classes.weigh(np.array([number % max(len(self._classes.names), 1)]))
            w = self._map(z, labels, keyframe.truncation)
        return self._edit(w, keyframe.edits), labels

    def _weigh(self, keyframe: KeyframeParams) -> np.ndarray | None:
        """Return the weights (1, K) of a keyframe's class; None if it names none."""
        if not self._classes.columns:
            if keyframe.class_name is not None:
                raise GanvasError("it has a class, but this generator has none: leave it out.")
            return np.zeros((1, 0), np.float32)
        return (
            None if keyframe.class_name is None else weigh_class(self._classes, keyframe.class_name)
        )

    def _map(self, z: np.ndarray, labels: np.ndarray, truncation: float) -> np.ndarray:
        """Return the w of latents, truncated as samples are."""
        if truncation == 1:
            return map_to_w(self._generator, z, labels)
        return map_truncated(self._generator, z, labels, np.array([truncation]), self._class_means)

    @cached_property
    def _class_means(self) -> ClassMeans | None:
        if not is_style_based(self._generator):
            return None
        return find_class_means(self._generator, len(self._classes.columns))

    def _truncate(self, w: np.ndarray, labels: np.ndarray, truncation: float) -> np.ndarray:
        if truncation == 1:
            return w
        return truncate_w(w, mean_w(self._generator, labels), np.array([truncation]))

    def _edit(self, w: np.ndarray, edits: Mapping[str, float]) -> np.ndarray:
        chosen = []
        for name, strength in edits.items():
            direction = self._directions.get(name.casefold())
            if direction is None:
                known = [x.name for x in self._directions.values()]
                raise GanvasError(
                    f"there is no direction '{name}'{suggest_names(name, known)}: "
                    + (f"choose among {', '.join(known)}." if known else FIND_DIRECTIONS)
                )
            if not direction.low <= strength <= direction.high:
                logger.warning(
                    "A keyframe has %s=%g, and images are plausible from %.3g to %.3g.",
                    *(direction.name, strength, direction.low, direction.high),
                )
            chosen.append((direction, strength))
        return edit_w(w, chosen)

    def _load(
        self, file: Path, row: int, labels: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the w (1, *w_shape) and class weights (1, K) of a row of a file."""
        arrays = read_latents(file)
        named_z = Z_ARRAY in arrays
        latents = arrays[Z_ARRAY if named_z else W_ARRAY]
        z_shape = (latent_dim(self._generator),)
        shape = z_shape if named_z else w_shape(self._generator)
        if latents.shape in (shape, z_shape):
            latents = latents[None]
        is_z = named_z or latents.shape[1:] == z_shape != shape
        if latents.shape[1:] != (z_shape if is_z else shape):
            raise GanvasError(
                f"{file} has an array of shape {latents.shape}, and latents of this generator have "
                f"(N, {', '.join(map(str, shape))}): choose a file of the same generator."
            )
        if row >= len(latents):
            raise GanvasError(
                f"{file} has {len(latents)} latents, and row {row} is requested: choose a row from "
                f"0 to {len(latents) - 1}."
            )
        chosen = latents[row : row + 1].astype(np.float32)
        if not (np.abs(chosen) <= MAX_LATENT).all():
            raise GanvasError(f"{file} has values in row {row} that are no latents.")
        saved = arrays.get(LABELS_ARRAY)
        if labels is None and saved is not None:
            count = self._classes.num_weights
            if saved.shape != (len(latents), count):
                raise GanvasError(
                    f"{file} has class weights of shape {saved.shape} in place of "
                    f"{(len(latents), count)}: choose a file of the same generator."
                )
            labels = saved[row : row + 1].astype(np.float32)
            if not (labels >= 0).all() or (count and abs(labels.sum() - 1) > TOLERANCE):
                raise GanvasError(
                    f"{file} has class weights in row {row} that are not from 0 with a sum of 1: "
                    "choose a file of the same generator, or add a class."
                )
        if labels is None:
            raise GanvasError(
                f"{file} has no class weights: add a class, such as "
                f"'class: {self._classes.names[0]}'."
            )
        return (map_to_w(self._generator, chosen, labels) if is_z else chosen), labels


FIND_DIRECTIONS = "find some by `kedro run --pipelines=directions` first."


def read_latents(file: Path) -> dict[str, np.ndarray]:
    """Read a .npy file of latents, or an .npz file of latents and perhaps class weights.

    Returns:
        `w`, or `z` of an .npz file that has this array and no `w`; and `labels` if it has them.

    Raises:
        GanvasError: It doesn't exist, or has no numbers of latents.
    """
    try:
        if file.suffix.lower() == ".npy":
            # Mapped: a damaged file may claim to have more than the memory holds.
            arrays = {W_ARRAY: np.load(file, mmap_mode="r", allow_pickle=False)}
        else:
            arrays = read_arrays(file)
    except FileNotFoundError as error:
        raise GanvasError(f"{file} does not exist: choose another file.") from error
    except (OSError, ValueError, EOFError) as error:
        raise GanvasError(f"{file} can't be read ({error}): choose another file.") from error
    if W_ARRAY in arrays:
        arrays.pop(Z_ARRAY, None)
    elif Z_ARRAY not in arrays and len(arrays) == 1:
        arrays = {W_ARRAY: next(iter(arrays.values()))}
    known = [name for name in (W_ARRAY, Z_ARRAY, LABELS_ARRAY) if name in arrays]
    if known in ([], [LABELS_ARRAY]):
        raise GanvasError(
            f"{file} has no array '{W_ARRAY}', but {', '.join(arrays) or 'none'}: choose a file of "
            "latents."
        )
    for name in known:
        if arrays[name].dtype.kind not in "fiu":
            raise GanvasError(f"{file} has no numbers in '{name}': choose a file of latents.")
    return {name: arrays[name] for name in known}


def weigh_class(table: ClassTable, chosen: str | Mapping[str, str | bool | float]) -> np.ndarray:
    """Return the class weights (1, K) that a keyframe's class stands for.

    Args:
        table: The classes, at least one.
        chosen: Name of a class, also as names of samples have it; with one label column, weights
            of several by their names, which are scaled to the sum 1; with several columns, the
            value of each.

    Raises:
        GanvasError: There is no such class, or a column has no value.

    Example:
        >>> from ganvas.label_columns import make_table
        >>> table = make_table([("shape", ["disk", "square"])], np.array([[0], [1]]))
        >>> weigh_class(table, {"disk": 3, "square": 1}).tolist()
        [[0.75, 0.25]]
    """
    if isinstance(chosen, str):
        if chosen in table.names:
            return table.weigh(np.array([table.names.index(chosen)]))
        alike = [number for number, name in enumerate(table.names) if name_in_file(name) == chosen]
        if len(alike) == 1:
            return table.weigh(np.array(alike))
        positions = read_values(table.columns, chosen) if len(table.columns) > 1 else None
        if positions is None:
            raise _refuse_class(chosen, table.names)
        chosen = _name_values(table.columns, positions)
    if len(table.columns) == 1:
        return _mix_classes(table.names, chosen)
    weights = np.zeros((1, table.num_weights), np.float32)
    known = [column.column for column in table.columns]
    for name in chosen:
        if name not in known:
            raise _refuse_class(name, known, "label")
    for column in table.columns:
        value = chosen.get(column.column)
        if value is None:
            raise GanvasError(
                f"its class has no value of {column.column}: choose among "
                f"{', '.join(column.values)}."
            )
        number = column.values.index(_find_value(column, value))
        weights[0, column.first + number] = 1 / len(table.columns)
    return weights


def _name_values(columns: Sequence[LabelColumn], positions: Sequence[int]) -> dict[str, str]:
    """Return the values at positions of a row by their columns' names."""
    return {
        column.column: column.values[position - column.first]
        for column in columns
        for position in positions
        if position in range(column.positions.start, column.positions.stop)
    }


def _find_value(column: LabelColumn, chosen: str | bool | float) -> str:
    """Return the value of a label that was chosen, perhaps as YAML reads it: true for yes."""
    text = str(chosen)
    if isinstance(chosen, bool):
        found = [x for x in column.values if x.casefold() in BOOLEAN_WORDS[chosen]]
        text = found[0] if len(found) == 1 else text
    if text not in column.values:
        raise _refuse_class(text, column.values, f"value of {column.column}")
    return text


def _mix_classes(names: list[str], shares: Mapping[str, str | bool | float]) -> np.ndarray:
    # Weights that float32 can't hold are scaled, too.
    weights = np.zeros((1, len(names)))
    for name, share in shares.items():
        if name not in names:
            raise _refuse_class(name, names)
        try:
            weights[0, names.index(name)] = np.nan if isinstance(share, bool) else float(share)
        except ValueError:
            weights[0, names.index(name)] = np.nan
    if not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise GanvasError("its weights of classes must be numbers from 0, and one above 0.")
    return (weights / weights.sum()).astype(np.float32)


def _refuse_class(name: str, known: list[str], what: str = "class") -> GanvasError:
    return GanvasError(
        f"there is no {what} '{name}'{suggest_names(name, known)}: choose among {', '.join(known)}."
    )
