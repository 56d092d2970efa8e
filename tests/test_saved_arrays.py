import io
import random
import zipfile

import numpy as np
import pytest

from ganvas.saved_arrays import read_arrays, write_arrays


def test_damaged_files_are_refused():
    stream = io.BytesIO()
    values = np.random.default_rng(0).standard_normal((50, 20))
    write_arrays(stream, {"w": values, "names": np.array(["a", "b"])})
    content, rng = stream.getvalue(), random.Random(0)
    assert read_arrays(io.BytesIO(content))["names"].tolist() == ["a", "b"]
    refused = 0
    for _ in range(300):
        damaged = bytearray(content[: rng.choice([len(content), rng.randrange(len(content))])])
        for _ in range(rng.choice([1, 20])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            read_arrays(io.BytesIO(bytes(damaged)))
        except (OSError, ValueError):
            refused += 1
    assert refused > 250


def test_headers_that_ask_for_huge_arrays_are_refused(tmp_path):
    file = tmp_path / "huge.npz"
    write_arrays(file, {"w": np.zeros(3)})
    with zipfile.ZipFile(file) as archive:
        header = archive.read("w.npy").replace(b"(3,), }             ", b"(3000000000000,), } ")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("w.npy", header)
    with pytest.raises(ValueError, match="npz"):
        read_arrays(file)
