"""The type of image arrays."""

from typing import Any, Protocol


class Images(Protocol):
    """Images, uint8 of shape (N, H, W, 3): a NumPy array, or memory-mapped files indexed alike."""

    @property
    def shape(self) -> Any:
        """(N, H, W, 3)."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...
