"""What a run knows of itself beside the weights."""

import time
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass
class Record:
    """The facts that grow with a run and are kept in its checkpoints.

    Attributes:
        started: When it began, as a name for files.
        rows: The history, one row an epoch; the last may be of an epoch that was cut short.
        warnings: Early warnings: epoch, name, figure and advice of each.
        seconds: Time spent in training, by all its parts together.
        best: Epoch and kernel distance of the best judgment so far.
        unimproved: Judgments since then.
    """

    started: str = field(default_factory=lambda: f"{datetime.now():%Y-%m-%dT%H.%M.%S}")
    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    best: dict[str, float] | None = None
    unimproved: int = 0

    def __post_init__(self) -> None:
        self._since: float | None = None

    def start_clock(self) -> None:
        """Let the clock run on from where it stood."""
        self._since = time.monotonic() - self.seconds

    def tick(self) -> float:
        """Give the seconds up to now."""
        if self._since is not None:
            self.seconds = time.monotonic() - self._since
        return self.seconds

    def go_back(self, epochs: int) -> None:
        """Forget what came after the first so many epochs."""
        del self.rows[epochs:]
        self.warnings = [each for each in self.warnings if each["epoch"] <= epochs]

    def to_facts(self) -> dict[str, Any]:
        """Give everything in JSON's types."""
        self.tick()
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Record":
        """Take up a record again; its clock goes on from where it stood."""
        return cls(**{each.name: facts[each.name] for each in fields(cls)})
