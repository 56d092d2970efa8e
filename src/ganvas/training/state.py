"""The state of training as named arrays, and back."""

import keras
import numpy as np

Parts = dict[str, list[keras.Variable]]


def read_state(parts: Parts) -> dict[str, np.ndarray]:
    """Copy every variable, named by its part and its number in it."""
    return {
        f"{part}/{number:04d}": np.array(variable)
        for part, variables in parts.items()
        for number, variable in enumerate(variables)
    }


def write_state(parts: Parts, arrays: dict[str, np.ndarray]) -> None:
    """Give every variable the value that `read_state` has taken.

    Raises:
        ValueError: The arrays are those of other networks or optimizers.
    """
    here = {name: array.shape for name, array in read_state(parts).items()}
    there = {name: array.shape for name, array in arrays.items()}
    if here != there:
        odd = sorted(set(here.items()) ^ set(there.items()))[0][0]
        raise ValueError(f"{odd} has the shape {there.get(odd)}, not {here.get(odd)}")
    for part, variables in parts.items():
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"{part}/{number:04d}"])


def find_overflow(arrays: dict[str, np.ndarray]) -> str | None:
    """Give the name of an array that holds a value which is not finite; None if all are."""
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            return name
    return None
