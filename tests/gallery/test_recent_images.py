"""Blocks of images that are kept for the requests of their neighbors."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ganvas.gallery import recent_images
from ganvas.gallery.batching import BusyError
from ganvas.gallery.recent_images import Block, RecentImages


def block(number):
    return Block(seed=number, truncation=1.0, class_name=None, first=0)


def test_concurrent_requests_generate_a_block_once():
    generated, event = [], threading.Event()

    def generate(wanted):
        event.wait(5)
        generated.append(wanted)
        return np.full(2, wanted.seed)

    recent = RecentImages(generate, block_bytes=1)
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(recent.get, block(k % 2)) for k in range(6)]
        event.set()
        assert [job.result()[0] for job in jobs] == [0, 1] * 3
    assert sorted(generated) == [block(0), block(1)]
    recent.get(block(1))
    assert len(generated) == 2


def test_the_oldest_blocks_are_dropped(monkeypatch):
    monkeypatch.setattr(recent_images, "MAX_BYTES", 20)
    generated = []
    recent = RecentImages(lambda wanted: generated.append(wanted.seed), block_bytes=10)
    for seed in (0, 1, 0, 2, 0, 1):
        recent.get(block(seed))
    assert generated == [0, 1, 2, 1]


def test_a_refused_block_is_generated_by_a_later_request():
    answers = [BusyError(), np.ones(1)]

    def generate(_):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    recent = RecentImages(generate, block_bytes=1)
    with pytest.raises(BusyError):
        recent.get(block(0))
    assert recent.get(block(0)).sum() == 1
