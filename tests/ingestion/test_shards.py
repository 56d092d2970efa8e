import numpy as np
import pytest

from ganvas.ingestion.shards import ShardedImages, open_shards, write_shard

ALL = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype=np.uint8)


@pytest.fixture
def images(tmp_path):
    """Return ALL in four shards, one of them empty."""
    for number, (first, last) in enumerate([(0, 7), (7, 7), (7, 8), (8, 20)]):
        arrays = [ALL[first:last][:3], ALL[first:last][3:]]
        write_shard(tmp_path / f"images-{number:05d}.npy", arrays, (4, 4, 3))
    return open_shards(tmp_path)


def test_shape_and_type(images):
    assert images.shape == (20, 4, 4, 3) and len(images) == 20 and images.dtype == np.uint8


@pytest.mark.parametrize(
    "key",
    [
        0,
        19,
        -1,
        np.int64(7),
        slice(None),
        slice(5, 9),
        slice(None, None, -3),
        slice(25, 30),
        np.array([19, 0, 7, 7, 8, 6]),
        np.array([-1, -20]),
        np.array([], np.int64),
        [3, 12],
    ],
    ids=str,
)
def test_indexing_is_that_of_one_array(images, key):
    assert np.array_equal(images[key], ALL[key])


@pytest.mark.parametrize("key", [20, -21, np.array([3, 20])])
def test_an_index_out_of_range_is_an_error(images, key):
    with pytest.raises(IndexError):
        images[key]


def test_raw_shards_are_memory_mapped_and_never_converted_whole(images):
    with pytest.raises(TypeError, match="some images of a collection at a time"):
        np.asarray(images)
    assert all(isinstance(shard, np.memmap) for shard in images._shards if len(shard))


def test_files_are_plain_npy(tmp_path):
    write_shard(tmp_path / "images-00000.npy", [ALL[:5], ALL[5:]], (4, 4, 3))
    np.save(tmp_path / "expected.npy", ALL)
    written = (tmp_path / "images-00000.npy").read_bytes()
    assert np.array_equal(np.load(tmp_path / "images-00000.npy"), ALL)
    assert len(written) == len((tmp_path / "expected.npy").read_bytes())


def test_an_error_while_writing_leaves_no_shard(tmp_path):
    def arrays():
        yield ALL[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "images-00000.npy", arrays(), (4, 4, 3))
    with pytest.raises(FileNotFoundError):
        open_shards(tmp_path)


def test_shards_may_be_arrays_in_memory():
    assert np.array_equal(ShardedImages([ALL[:4], ALL[4:]])[3:6], ALL[3:6])
