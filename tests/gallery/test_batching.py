"""Painting for several at once, with a generator that is made here."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from ganvas.gallery.batching import BatchedGenerator, BusyError, TooSlowError
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.sampling import BATCH, generate_images, sample_latents

NO_CLASSES = np.zeros((0, 0), np.float32)


@pytest.fixture(scope="module")
def generator():
    keras.utils.set_random_seed(0)
    params = DcganParams(latent=6, generator_width=4, discriminator_width=2, initializer="glorot")
    return build_dcgan(params, (32, 32, 3)).generator


class Slow:
    """A generator that takes its time, and can be held up."""

    def __init__(self, generator):
        self.generator, self.inputs = generator, generator.inputs
        self.batches, self.go = [], threading.Event()

    def __call__(self, latents, training):
        self.go.wait(5)
        self.batches.append(len(latents))
        return self.generator(latents, training=training)


def rows(count):
    return np.zeros((count, 0), np.float32)


def wait_for(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("It did not come to that.")


def test_pixels_do_not_depend_on_what_is_painted_with_them(generator):
    latents = sample_latents(generator, 130, 0)
    expected = generate_images(generator, latents)
    batcher = BatchedGenerator(generator)
    parts = np.array_split(np.random.default_rng(0).permutation(130), 17)
    with ThreadPoolExecutor(8) as pool:
        painted = list(
            pool.map(lambda part: batcher.generate(latents[part], rows(len(part))), parts)
        )
    for part, pictures in zip(parts, painted, strict=True):
        np.testing.assert_array_equal(pictures, expected[part])


def test_requests_that_wait_share_a_batch(generator):
    slow = Slow(generator)
    batcher = BatchedGenerator(slow)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(batcher.generate, sample_latents(generator, 1, 0), rows(1))
        wait_for(batcher._brush.locked)
        wait_for(batcher._jobs.empty)
        others = [
            pool.submit(batcher.generate, sample_latents(generator, 8, seed), rows(8))
            for seed in range(8)
        ]
        wait_for(lambda: batcher._jobs.qsize() == 8)
        slow.go.set()
        assert len(first.result()) == 1 and all(len(each.result()) == 8 for each in others)
    assert slow.batches == [BATCH, BATCH]


def test_a_full_queue_says_so_at_once_and_patience_ends(generator):
    slow = Slow(generator)
    batcher = BatchedGenerator(slow, waiting=2)
    latents = sample_latents(generator, 1, 0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.generate, latents, rows(1))
        wait_for(batcher._brush.locked)
        wait_for(batcher._jobs.empty)
        with pytest.raises(TooSlowError):
            batcher.generate(latents, rows(1), patience=0.05)
        second = pool.submit(batcher.generate, latents, rows(1))
        wait_for(lambda: batcher._jobs.qsize() == 2)
        with pytest.raises(BusyError):
            batcher.generate(latents, rows(1))
        slow.go.set()
        for each in (first, second):
            assert each.result().shape == (1, 32, 32, 3)
    # What was given up is not painted.
    assert batcher.generate(latents, rows(1)).shape == (1, 32, 32, 3)
    assert len(slow.batches) == 3


def test_an_error_is_told_to_those_who_asked_and_to_nobody_after(generator):
    batcher = BatchedGenerator(generator)
    with pytest.raises(Exception, match=r"shape|dim|size|incompatible"):
        batcher.generate(np.zeros((1, 99), np.float32), rows(1))
    assert batcher.generate(sample_latents(generator, 1, 0), rows(1)).shape == (1, 32, 32, 3)
