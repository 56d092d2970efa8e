"""Painting for several at once: requests at the same time share batches."""

import queue
import threading
from concurrent.futures import Future
from typing import NamedTuple

import keras
import numpy as np

from ganvas.networks.sampling import BATCH, generate_images

# Requests at a time: at 64 pictures each, some seconds of work on two cores.
WAITING = 24
# Seconds after which nobody waits any more.
PATIENCE = 30
# Rows that are taken together: whole batches, of which the last alone is padded.
TOGETHER = 4 * BATCH


class BusyError(Exception):
    """More requests wait than can be served soon."""


class TooSlowError(Exception):
    """It took longer than anyone should wait."""


class _Job(NamedTuple):
    latents: np.ndarray
    classes: np.ndarray
    pictures: Future[np.ndarray]


class BatchedGenerator:
    """Paints what is asked for, in the order in which it was asked.

    Whoever comes to the brush first paints for all who wait, so there is no thread of its own to
    look after. A picture's bytes don't depend on what else is painted with it: batches are always
    of the size that `ganvas.networks.sampling.generate_images` uses too.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        waiting: Requests at a time; all others are told that it is busy.
    """

    def __init__(self, generator: keras.Model, waiting: int = WAITING) -> None:
        self._generator = generator
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        # Those who wait, and those who are being painted for.
        self._places = threading.BoundedSemaphore(waiting)
        self._brush = threading.Lock()

    def generate(
        self, latents: np.ndarray, classes: np.ndarray, patience: float = PATIENCE
    ) -> np.ndarray:
        """Paint latents (N, Z) and classes (N, K), N up to some dozens: uint8 (N, H, W, 3).

        Raises:
            BusyError: There are too many already.
            TooSlowError: It took more than `patience` seconds.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        try:
            job = _Job(latents, classes, Future())
            self._jobs.put(job)
            if not self._brush.acquire(timeout=patience):
                job.pictures.cancel()
                raise TooSlowError
            try:
                while not job.pictures.done():
                    self._paint(self._gather())
            finally:
                self._brush.release()
        finally:
            self._places.release()
        return job.pictures.result()

    def _gather(self) -> list[_Job]:
        """Take what waits, up to a few batches, leaving out what nobody waits for any more."""
        jobs: list[_Job] = []
        while sum(len(job.latents) for job in jobs) < TOGETHER:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job.pictures.set_running_or_notify_cancel():
                jobs.append(job)
        return jobs

    def _paint(self, jobs: list[_Job]) -> None:
        try:
            pictures = generate_images(
                self._generator,
                np.concatenate([job.latents for job in jobs]),
                np.concatenate([job.classes for job in jobs]),
            )
        # Whoever asked is told, each in a thread of its own.
        except Exception as error:
            for job in jobs:
                job.pictures.set_exception(error)
            return
        start = 0
        for job in jobs:
            job.pictures.set_result(pictures[start : start + len(job.latents)])
            start += len(job.latents)
