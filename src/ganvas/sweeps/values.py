"""Read what a sweep varies: `train.seed=0..2`, `network.name=[projected,dcgan]`."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ganvas.base_params import find_text_keys
from ganvas.errors import GanvasError
from ganvas.project_params import ProjectParams
from ganvas.run_options import KEY

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(
    rf"(?P<log>log\()?(?P<low>{NUMBER})\.\.(?P<high>{NUMBER})(?:\.\.(?P<step>\d+))?(?(log)\))"
)
INTEGER = re.compile(r"[+-]?\d+")
EXAMPLE = "train.seed=0..2 or network.name=[projected,dcgan]"
# Values of a list, runs of a sweep, at most.
MAX_VALUES, MAX_RUNS = 1000, 1000
# Ranges of fractional numbers from this ratio of their ends on are searched on a log scale.
LOG_RATIO = 10


class Range(NamedTuple):
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: The lowest.
        high: The highest.
        step: Distance of two values; None: any number in between.
        log: Whether a search is on a logarithmic scale.
    """

    low: float
    high: float
    step: int | None
    log: bool

    def values(self) -> list[int]:
        """Return all values of a range of integers."""
        assert self.step is not None
        return list(range(int(self.low), int(self.high) + 1, self.step))


class Axis(NamedTuple):
    """A parameter and what a sweep sets it to.

    Attributes:
        key: Dotted key of the parameter.
        values: A range, or a list of values of any of YAML's types.
        text: The values as they were written.
    """

    key: str
    values: Range | list[Any]
    text: str


def read_axes(texts: Iterable[str]) -> list[Axis]:
    """Read the arguments of a sweep, KEY=VALUES each.

    Raises:
        GanvasError: One of them is no such argument, or names a parameter again.

    Example:
        >>> read_axes(["train.seed=0..2"])[0].values
        Range(low=0, high=2, step=1, log=False)
        >>> read_axes(["network.name=[projected, dcgan]"])[0].values
        ['projected', 'dcgan']
    """
    axes: dict[str, Axis] = {}
    for text in texts:
        key, equals, written = (part.strip() for part in text.partition("="))
        if not equals or not written or not KEY.fullmatch(key):
            raise GanvasError(
                f"A sweep can't have '{text}': write a parameter with its values, such as "
                f"{EXAMPLE}."
            )
        if key in axes:
            raise GanvasError(f"The sweep sets {key} twice: write all of its values in one list.")
        axes[key] = Axis(key, _read_values(key, written), written)
    return list(axes.values())


def _read_values(key: str, text: str) -> Range | list[Any]:
    if matched := RANGE.fullmatch(text):
        return _read_range(key, text, matched)
    if ".." in text and re.match(NUMBER + r"\.\.|log\(", text):
        raise GanvasError(
            f"{key} can't have the range '{text}': write LOW..HIGH, such as 0..2, 0..20..5 in "
            "steps of 5, or log(0.0001..0.01)."
        )
    values = _read_list(text) if key in find_text_keys(ProjectParams) else _read_yaml(key, text)
    if not isinstance(values, list):
        values = [values]
    if not values or len(values) > MAX_VALUES:
        raise GanvasError(
            f"{key} can't have {len(values)} values: write from 1 to {MAX_VALUES} in the list."
        )
    return values


def _read_range(key: str, text: str, matched: re.Match[str]) -> Range:
    low, high, step = matched["low"], matched["high"], matched["step"]
    whole = all(INTEGER.fullmatch(end) for end in (low, high))
    first, last = (int(end) if whole else float(end) for end in (low, high))
    log = bool(matched["log"])
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        raise GanvasError(f"{key} can't have the range '{text}': its first number must be lower.")
    if log and first <= 0:
        raise GanvasError(f"{key} can't have '{text}': a logarithmic range begins above 0.")
    if step is not None and (not whole or not int(step) or log):
        raise GanvasError(
            f"{key} can't have the range '{text}': only whole numbers have a step, from 1 on, such "
            "as 0..20..5; write other values as a list."
        )
    if whole and (last - first) // int(step or 1) >= MAX_VALUES and not log:
        raise GanvasError(f"{key} can't have '{text}': a range has {MAX_VALUES} values at most.")
    if not whole and first > 0 and last / first >= LOG_RATIO:
        log = True
    return Range(first, last, int(step or 1) if whole else None, log)


def _read_list(text: str) -> Any:
    """Return the values of a parameter that is text: 007 and on stay as they are written."""
    try:
        values = yaml.load(text, yaml.BaseLoader)
    except yaml.YAMLError:
        return text
    return values if isinstance(values, list) else text


def _read_yaml(key: str, text: str) -> Any:
    try:
        config = OmegaConf.from_dotlist([f"value={text}"])
        return OmegaConf.to_container(config)["value"]  # type: ignore[index,call-overload]
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise GanvasError(
            f"{key} can't have '{text[:80]}': write a list as YAML, such as [1, 2] or "
            "[[color], [color, cutout]], or a range such as 0..2."
        ) from error


def combine(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Return all combinations of values, the last parameter changing fastest.

    Raises:
        GanvasError: There are too many, or a range has infinitely many values.

    Example:
        >>> combine(read_axes(["train.seed=0..1", "train.batch_size=[8, 16]"]))[1]
        {'train.seed': 0, 'train.batch_size': 16}
    """
    combinations: list[dict[str, Any]] = [{}]
    for axis in axes:
        if isinstance(axis.values, Range):
            if axis.values.step is None or axis.values.log:
                raise GanvasError(
                    f"{axis.key}={axis.text} has no end of values: add --trials=8 to search in it, "
                    "or write a list."
                )
            values: list[Any] = axis.values.values()
        else:
            values = axis.values
        if len(combinations) * len(values) > MAX_RUNS:
            raise GanvasError(
                f"These are more than {MAX_RUNS} combinations: write fewer values, or add "
                "--trials=20 to search among them."
            )
        combinations = [known | {axis.key: value} for known in combinations for value in values]
    return combinations


def describe_values(values: dict[str, Any]) -> str:
    """Return values of a combination in one line.

    Example:
        >>> describe_values({"train.seed": 1, "train.augment.policy": ["color"]})
        'train.seed=1, train.augment.policy=[color]'
    """
    return ", ".join(f"{key}={describe_value(value)}" for key, value in values.items())


def describe_value(value: Any) -> str:
    """Return a value as in YAML, numbers with six digits at most."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(describe_value, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "null" if value is None else str(value).lower() if value in (True, False) else str(value)
