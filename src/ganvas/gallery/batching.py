"""Dynamic batching: concurrent requests share batches of the generator."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property
from typing import NamedTuple

import keras
import numpy as np

from ganvas.networks.batches import BATCH, batch_size
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.sampling import ClassMeans, generate_images
from ganvas.networks.styles import class_mean_styles, mean_styles_by_row

# Pending requests; at 64 images each, several seconds of work on two CPU cores.
MAX_PENDING = 24
# Seconds that a request waits for its turn.
TIMEOUT = 30
# Batches in one run, of which only the last one is padded. Batches of large images take seconds, so
# that these run one by one.
MAX_BATCHES = 4


class BusyError(Exception):
    """Too many requests are pending."""


class RequestTimeoutError(Exception):
    """The request waited longer than its timeout."""


@contextmanager
def acquire(
    lock: "threading.Lock | threading.Semaphore", timeout: float, error: type[Exception]
) -> Iterator[None]:
    """Hold a lock within a `with` block; raise `error` after `timeout` seconds without it."""
    if not lock.acquire(timeout=timeout):
        raise error
    try:
        yield
    finally:
        lock.release()


class _Job(NamedTuple):
    latents: np.ndarray
    labels: np.ndarray
    truncation: np.ndarray
    images: Future[np.ndarray]


class BatchedGenerator:
    """Generates images for concurrent requests, first in, first out.

    The first waiting request runs the batches of all queued requests; no background thread is
    needed. The pixels of an image do not depend on the other requests, since batches always have
    the size that `ganvas.networks.sampling.generate_images` uses.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        max_pending: Requests that may wait or run at a time; more are rejected.
        by_row: Whether styles have a mean for each row of class weights, as with several label
            columns, see `ganvas.networks.styles.mean_styles_by_row`.
    """

    def __init__(
        self, generator: keras.Model, max_pending: int = MAX_PENDING, by_row: bool = False
    ) -> None:
        self._generator, self._by_row = generator, by_row
        size = batch_size(*generator.output_shape[1:3])
        self._max_latents = MAX_BATCHES * size if size == BATCH else size
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        # Counts the requests that wait or run.
        self._slots = threading.BoundedSemaphore(max_pending)
        self._lock = threading.Lock()

    def generate(
        self,
        latents: np.ndarray,
        labels: np.ndarray,
        truncation: float | np.ndarray = 1.0,
        timeout: float = TIMEOUT,
    ) -> np.ndarray:
        """Return the images, uint8 (n, H, W, C), of latents.

        Args:
            latents: float32 (n, Z).
            labels: Class weights, float32 (n, K), one-hot or a mixture.
            truncation: That of all images, or of each one, (n,); requests of different ones share
                batches.
            timeout: Seconds to wait for other requests.

        Raises:
            BusyError: Too many requests are pending.
            RequestTimeoutError: The other requests took longer than `timeout`.
        """
        with acquire(self._slots, 0, BusyError):
            psi = np.broadcast_to(np.asarray(truncation, np.float32), len(latents))
            job = _Job(latents, labels, psi, Future())
            self._jobs.put(job)
            try:
                with acquire(self._lock, timeout, RequestTimeoutError):
                    while not job.images.done():
                        self._run(self._next_jobs())
            except RequestTimeoutError:
                job.images.cancel()
                raise
        return job.images.result()

    def _next_jobs(self) -> list[_Job]:
        """Take queued jobs for a few batches; skip those that timed out."""
        jobs: list[_Job] = []
        while sum(len(job.latents) for job in jobs) < self._max_latents:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job.images.set_running_or_notify_cancel():
                jobs.append(job)
        return jobs

    @cached_property
    def _class_means(self) -> ClassMeans:
        find = mean_styles_by_row if self._by_row else class_mean_styles
        return find(self._generator)

    def _run(self, jobs: list[_Job]) -> None:
        try:
            latents, labels, truncation = (
                np.concatenate(rows) for rows in zip(*(job[:3] for job in jobs), strict=True)
            )
            truncates_styles = is_style_based(self._generator) and (truncation != 1).any()
            class_means = self._class_means if truncates_styles else None
            images = generate_images(self._generator, latents, labels, truncation, class_means)
        # The error is raised in the thread of every request of this run.
        except Exception as error:
            for job in jobs:
                job.images.set_exception(error)
            return
        start = 0
        for job in jobs:
            job.images.set_result(images[start : start + len(job.latents)])
            start += len(job.latents)
