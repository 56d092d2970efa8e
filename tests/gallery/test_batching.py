"""Dynamic batching, with an untrained generator."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from ganvas.gallery.batching import BatchedGenerator, BusyError, RequestTimeoutError
from ganvas.networks.batches import BATCH
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.sampling import generate_images, one_hot, sample_latents
from ganvas.networks.stylegan2 import build_stylegan2


@pytest.fixture(scope="module")
def generator():
    keras.utils.set_random_seed(0)
    params = DcganParams(latent=6, generator_width=4, discriminator_width=2, initializer="glorot")
    return build_dcgan(params, (32, 32, 3)).generator


class BlockedGenerator:
    """A generator that waits for an event and records its batch sizes."""

    def __init__(self, generator):
        self.generator, self.inputs = generator, generator.inputs
        self.output_shape, self.layers = generator.output_shape, generator.layers
        self.batches, self.event = [], threading.Event()

    def __call__(self, latents, training):
        self.event.wait(5)
        self.batches.append(len(latents))
        return self.generator(latents, training=training)


def no_labels(count):
    return np.zeros((count, 0), np.float32)


def wait_for(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("The condition was never met.")


def test_pixels_do_not_depend_on_the_other_requests(generator):
    latents, psi = sample_latents(generator, 130, 0), np.linspace(0.05, 2, 130)
    expected = generate_images(generator, latents, truncation=psi)
    batcher = BatchedGenerator(generator)
    parts = np.array_split(np.random.default_rng(0).permutation(130), 17)

    def generate(part):
        return batcher.generate(latents[part], no_labels(len(part)), psi[part])

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(generate, parts))
    for part, images in zip(parts, results, strict=True):
        np.testing.assert_array_equal(images, expected[part])


def test_requests_of_different_truncation_of_styles_share_batches():
    params = Stylegan2Params(latent=8, style=8, channel_base=256, max_width=8)
    generator = build_stylegan2(params, (16, 16, 3), classes=3).generator
    latents, labels = sample_latents(generator, 100, 0), one_hot(np.arange(100) % 3, 3)
    # Whole requests without truncation, beside others with it.
    psi = np.repeat([1.0, 0.3, 0.7, 1.0], 25).astype(np.float32)
    parts = np.split(np.arange(100), 4)
    expected = [generate_images(generator, latents[p], labels[p], psi[p]) for p in parts]
    batcher, batches = BatchedGenerator(generator), []
    run = batcher._run
    batcher._run = lambda jobs: (batches.append(len(jobs)), run(jobs))
    with ThreadPoolExecutor(4) as pool:
        with batcher._lock:
            jobs = [pool.submit(batcher.generate, latents[p], labels[p], psi[p]) for p in parts]
            wait_for(lambda: batcher._jobs.qsize() == 4)
        for job, images in zip(jobs, expected, strict=True):
            np.testing.assert_array_equal(job.result(), images)
    assert batches == [4]


def test_waiting_requests_share_a_batch(generator):
    blocked = BlockedGenerator(generator)
    batcher = BatchedGenerator(blocked)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(batcher.generate, sample_latents(generator, 1, 0), no_labels(1))
        wait_for(batcher._lock.locked)
        wait_for(batcher._jobs.empty)
        others = [
            pool.submit(batcher.generate, sample_latents(generator, 8, seed), no_labels(8))
            for seed in range(8)
        ]
        wait_for(lambda: batcher._jobs.qsize() == 8)
        blocked.event.set()
        assert len(first.result()) == 1 and all(len(job.result()) == 8 for job in others)
    assert blocked.batches == [BATCH, BATCH]


def test_a_full_queue_rejects_at_once_and_waiting_times_out(generator):
    blocked = BlockedGenerator(generator)
    batcher = BatchedGenerator(blocked, max_pending=2)
    latents = sample_latents(generator, 1, 0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.generate, latents, no_labels(1))
        wait_for(batcher._lock.locked)
        wait_for(batcher._jobs.empty)
        with pytest.raises(RequestTimeoutError):
            # A whole batch, which would show among the batches below.
            many = sample_latents(generator, BATCH, 1)
            batcher.generate(many, no_labels(BATCH), timeout=0.05)
        second = pool.submit(batcher.generate, latents, no_labels(1))
        wait_for(lambda: batcher._jobs.qsize() == 2)
        with pytest.raises(BusyError):
            batcher.generate(latents, no_labels(1))
        blocked.event.set()
        for job in (first, second):
            assert job.result().shape == (1, 32, 32, 3)
    # The request that timed out is not generated.
    assert batcher.generate(latents, no_labels(1)).shape == (1, 32, 32, 3)
    assert len(blocked.batches) == 3


def test_an_error_is_raised_in_its_requests_only(generator):
    batcher = BatchedGenerator(generator)
    with pytest.raises(Exception, match=r"shape|dim|size|incompatible"):
        batcher.generate(np.zeros((1, 99), np.float32), no_labels(1))
    assert batcher.generate(sample_latents(generator, 1, 0), no_labels(1)).shape == (1, 32, 32, 3)
