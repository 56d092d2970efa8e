"""The images that a model generated last, in blocks of consecutive numbers.

A page of large images loads each of them by its own request, and then opens some at full size.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np

from ganvas.gallery.batching import TIMEOUT, RequestTimeoutError

# Images of a block at most: several blocks fit into a batch, so that images of different seeds
# share one, too.
MAX_BLOCK = 8
# Bytes of pixels that are kept of a model: 42 RGB images of 1024×1024 pixels.
MAX_BYTES = 2**27


class Block(NamedTuple):
    """Consecutive images of a seed; without a class, they have the classes in turn."""

    seed: int
    truncation: float
    class_name: str | None
    first: int


class RecentImages:
    """Keeps the last blocks of images; concurrent requests for a block generate it once.

    Args:
        generate: Returns the images of a block, uint8 (n, H, W, C).
        block_bytes: Bytes of a block's pixels.
    """

    def __init__(self, generate: Callable[[Block], np.ndarray], block_bytes: int) -> None:
        self._generate = generate
        self._most = max(MAX_BYTES // block_bytes, 1)
        self._blocks: OrderedDict[Block, Future[np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, block: Block) -> np.ndarray:
        """Return the images of a block, generated now or before.

        Raises:
            BusyError, RequestTimeoutError: The generator has too many requests.
        """
        with self._lock:
            images = self._blocks.get(block)
            is_new = images is None
            if images is None:
                images = self._blocks[block] = Future()
            self._blocks.move_to_end(block)
            while len(self._blocks) > self._most:
                self._blocks.popitem(last=False)
        if is_new:
            self._fill(block, images)
        try:
            return images.result(TIMEOUT)
        except TimeoutError as error:
            raise RequestTimeoutError from error

    def _fill(self, block: Block, images: "Future[np.ndarray]") -> None:
        try:
            images.set_result(self._generate(block))
        # The error is raised in all requests that wait for this block, and later ones try again.
        except Exception as error:
            with self._lock:
                if self._blocks.get(block) is images:
                    del self._blocks[block]
            images.set_exception(error)
