"""Uploaded .npy files: numbers of a bounded size, and nothing else."""

import io

import numpy as np
import pytest

from ganvas.gallery.npy_files import read_npy, write_npy


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2", "<i4", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_are_read(kind, order):
    array = np.asarray(np.arange(6).reshape(2, 3), kind, order=order)
    stream = io.BytesIO()
    np.save(stream, array)
    np.testing.assert_array_equal(read_npy(stream.getvalue(), 6), array)


def test_what_is_written_is_what_numpy_loads():
    array = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
    np.testing.assert_array_equal(np.load(io.BytesIO(write_npy(array))), array)


def save(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def with_shape(shape):
    """A file of a few bytes whose header claims a shape."""
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 24


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no .npy file"),
        (b"\x93NUMPY\x01\x00", "no .npy file"),
        (b"\x93NUMPY\x09\x00" + bytes(99), "no .npy file"),
        (b"PK\x03\x04" + bytes(99), "no .npy file"),
        (save(np.array([{}]), allow_pickle=True), "values of type object"),
        (save(np.array(["a"])), "values of type <U1"),
        (save(np.ones(2, complex)), "complex128"),
        (save(np.ones(2, bool)), "bool"),
        (save(np.zeros(2, [("a", "f4")])), "only float and int"),
        (save(np.float32(1)), "axes"),
        (save(np.zeros((0, 3))), "axes"),
        (save(np.ones((1, 1, 1, 1))), "axes"),
        (save(np.ones((3, 4))), "more than 6 numbers"),
        (with_shape((10**12, 10**12)), "more than 6 numbers"),
        (with_shape((-1, 6)), "axes"),
        (save(np.ones(6))[:-1], "length"),
        (save(np.ones(6)) + b"\0", "length"),
    ],
)
def test_other_files_are_refused_in_a_sentence(content, message):
    with pytest.raises(ValueError, match=message):
        read_npy(content, 6)
