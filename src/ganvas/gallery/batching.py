"""Dynamic batching: concurrent requests share batches of the generator."""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property
from typing import NamedTuple

import keras
import numpy as np

from ganvas.latents.truncation import map_truncated, truncate_w
from ganvas.networks.batches import BATCH, batch_size
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.latent_spaces import generate_from_w, mean_w
from ganvas.networks.sampling import generate_images
from ganvas.networks.styles import (
    ClassMeans,
    find_class_means,
    mean_styles,
)

# Pending requests; at 64 images each, several seconds of work on two CPU cores.
MAX_PENDING = 24
# Seconds that a request waits for its turn.
TIMEOUT = 30
# Batches in one run, of which only the last one is padded. Batches of large images take seconds, so
# that these run one by one.
MAX_BATCHES = 4
# Mean intermediate latents of different class weights that are kept.
MAX_MEANS = 64


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


# From latents or w, class weights and truncation of several images to an array of a row for each.
_Compute = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class _Job(NamedTuple):
    compute: _Compute
    latents: np.ndarray
    labels: np.ndarray
    truncation: np.ndarray
    result: Future[np.ndarray]


class BatchedGenerator:
    """Generates images for concurrent requests, first in, first out.

    The first waiting request runs the batches of all queued requests; no background thread is
    needed. The pixels of an image do not depend on the other requests, since batches always have
    the size that `ganvas.networks.sampling.generate_images` uses.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        max_pending: Requests that may wait or run at a time; more are rejected.
        columns: Number of label columns, for `ganvas.networks.styles.find_class_means`.
    """

    def __init__(
        self, generator: keras.Model, max_pending: int = MAX_PENDING, columns: int = 0
    ) -> None:
        self._generator, self._columns = generator, columns
        size = batch_size(*generator.output_shape[1:3])
        self._max_latents = MAX_BATCHES * size if size == BATCH else size
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        # Counts the requests that wait or run.
        self._slots = threading.BoundedSemaphore(max_pending)
        self._lock = threading.Lock()
        self._means: OrderedDict[bytes, np.ndarray] = OrderedDict()

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
        return self._wait(self._generate, latents, labels, truncation, timeout)

    def map(
        self,
        latents: np.ndarray,
        labels: np.ndarray,
        truncation: float | np.ndarray = 1.0,
        timeout: float = TIMEOUT,
    ) -> np.ndarray:
        """Return the w, float32 (n, *w_shape), of the images of `generate`, with its errors."""
        return self._wait(self._map, latents, labels, truncation, timeout)

    def truncate(
        self,
        w: np.ndarray,
        labels: np.ndarray,
        truncation: float | np.ndarray,
        timeout: float = TIMEOUT,
    ) -> np.ndarray:
        """Move w, float32 (n, *w_shape), towards the mean of their classes; 0 is the mean itself.

        Raises:
            BusyError, RequestTimeoutError: See `generate`.
        """
        return self._wait(self._truncate, w, labels, truncation, timeout)

    def synthesize(self, w: np.ndarray, labels: np.ndarray, timeout: float = TIMEOUT) -> np.ndarray:
        """Return the images, uint8 (n, H, W, C), of w, float32 (n, *w_shape).

        Raises:
            BusyError, RequestTimeoutError: See `generate`.
        """
        return self._wait(self._synthesize, w, labels, 1.0, timeout)

    def _wait(
        self,
        compute: _Compute,
        latents: np.ndarray,
        labels: np.ndarray,
        truncation: float | np.ndarray,
        timeout: float,
    ) -> np.ndarray:
        with acquire(self._slots, 0, BusyError):
            psi = np.broadcast_to(np.asarray(truncation, np.float32), len(latents))
            job = _Job(compute, latents, labels, psi, Future())
            self._jobs.put(job)
            try:
                with acquire(self._lock, timeout, RequestTimeoutError):
                    while not job.result.done():
                        self._run(self._next_jobs())
            except RequestTimeoutError:
                # Unless another request has computed it, or does so now.
                if job.result.cancel():
                    raise
        return job.result.result()

    def _next_jobs(self) -> list[_Job]:
        """Take queued jobs for a few batches; skip those that timed out."""
        jobs: list[_Job] = []
        while sum(len(job.latents) for job in jobs) < self._max_latents:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job.result.set_running_or_notify_cancel():
                jobs.append(job)
        return jobs

    def _run(self, jobs: list[_Job]) -> None:
        for compute in dict.fromkeys(job.compute for job in jobs):
            self._run_alike(compute, [job for job in jobs if job.compute == compute])

    def _run_alike(self, compute: _Compute, jobs: list[_Job]) -> None:
        try:
            rows = zip(*((job.latents, job.labels, job.truncation) for job in jobs), strict=True)
            results = compute(*map(np.concatenate, rows))
        # The error is raised in the thread of every request of this run.
        except Exception as error:
            for job in jobs:
                job.result.set_exception(error)
            return
        start = 0
        for job in jobs:
            job.result.set_result(results[start : start + len(job.latents)])
            start += len(job.latents)

    def _generate(self, latents: np.ndarray, labels: np.ndarray, psi: np.ndarray) -> np.ndarray:
        return generate_images(self._generator, latents, labels, psi, self._find_class_means(psi))

    def _map(self, latents: np.ndarray, labels: np.ndarray, psi: np.ndarray) -> np.ndarray:
        return map_truncated(self._generator, latents, labels, psi, self._find_class_means(psi))

    def _synthesize(self, w: np.ndarray, labels: np.ndarray, _psi: np.ndarray) -> np.ndarray:
        return generate_from_w(self._generator, w, labels)

    def _truncate(self, w: np.ndarray, labels: np.ndarray, psi: np.ndarray) -> np.ndarray:
        if (psi == 1).all():
            return w
        if is_style_based(self._generator):
            # Those of `_map`, of which mixtures of classes are mixtures.
            means = mean_styles(self._generator, labels, self._class_means)[:, None]
        else:
            means = np.stack([self._mean(row) for row in labels])
        return truncate_w(w, means, psi)

    def _mean(self, label: np.ndarray) -> np.ndarray:
        key = label.tobytes()
        if key not in self._means:
            self._means[key] = mean_w(self._generator, label[None])[0]
        self._means.move_to_end(key)
        while len(self._means) > MAX_MEANS:
            self._means.popitem(last=False)
        return self._means[key]

    @cached_property
    def _class_means(self) -> ClassMeans | None:
        return find_class_means(self._generator, self._columns)

    def _find_class_means(self, psi: np.ndarray) -> ClassMeans | None:
        needed = is_style_based(self._generator) and (psi != 1).any()
        return self._class_means if needed else None
