import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion import pack_job, pack_worker
from ganvas.ingestion.collection import open_collection
from ganvas.ingestion.decode import decode_image
from ganvas.ingestion.file_index import FILE_STATS, list_files, make_skipped
from ganvas.ingestion.pack_job import mark_duplicates
from ganvas.ingestion.pack_worker import read_chunk_array, read_chunk_results
from ganvas.ingestion.packing import PackParams, pack
from ganvas.ingestion.rejection import Rejection

NAMES = ["images-00000.npy", "images-00001.npy", "images-00002.npy", "images-00003.npy"]


@pytest.fixture
def raw(tmp_path):
    """Thirty files, so four shards of eight: some damaged, some duplicates of other shards."""
    folder = tmp_path / "raw"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(30):
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number:02d}.png")
    for number in (3, 9, 16, 17, 18, 19, 20, 21, 22, 23):
        (folder / f"p{number:02d}.png").write_text("damaged")
    for number in (1, 12, 25, 27):
        (folder / f"p{number:02d}.png").write_bytes((folder / "p00.png").read_bytes())
    return folder


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(pack_job, "SHARD_SIZE", 8)
    monkeypatch.setattr(pack_job, "CHUNK_SIZE", 3)


def pack_all(raw, folder, **params):
    records = pd.DataFrame(sorted(list_files(raw)), columns=["path", *FILE_STATS])
    chosen = {"size": 32, "max_rejected_share": 0.5, "workers": 1} | params
    return pack(records, make_skipped([], ""), raw, folder, PackParams(**chosen))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_shards_equal_a_naive_loop(raw, tmp_path):
    collection = pack_all(raw, tmp_path / "packed")
    rejected = {1, 3, 9, 12, 16, 17, 18, 19, 20, 21, 22, 23, 25, 27}
    expected = [f"p{number:02d}.png" for number in range(30) if number not in rejected]
    assert collection.index["path"].tolist() == expected
    images = np.stack([decode_image(raw / path, (32, 32, 3))[0] for path in expected])
    assert np.array_equal(collection.images[:], images)
    reasons = collection.rejected.set_index("path")["reason"]
    assert len(reasons) == len(rejected) and reasons["p16.png"] == "not an image"
    assert all(reasons[f"p{number:02d}.png"] == "duplicate of p00.png" for number in (1, 12, 25))
    lengths = [len(np.load(tmp_path / "packed" / name)) for name in NAMES]
    assert lengths == [6, 6, 0, 4]
    assert sorted(contents(tmp_path / "packed")) == [
        *NAMES,
        "index.parquet",
        "manifest.json",
        "rejected.parquet",
    ]


def test_a_chunk_holds_the_result_of_each_file(raw, tmp_path):
    target = tmp_path / "chunk.npz"
    options = pack_worker.DecodeOptions(raw, (32, 32, 3), "center", "none")
    task = pack_worker.ChunkTask(target, ("p02.png", "p03.png", "p04.png"), options)
    pack_worker.make_chunk(task)
    results = read_chunk_results(task)
    assert results["path"].tolist() == list(task.paths)
    assert results["reason"].tolist() == ["", "not an image", ""]
    expected = [decode_image(raw / path, (32, 32, 3)) for path in ("p02.png", "p04.png")]
    assert results["hash"].tolist() == [expected[0][1], "", expected[1][1]]
    images = np.stack([decoded.pixels for decoded in expected])
    assert np.array_equal(read_chunk_array(target, "images"), images)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["chunk.npz"]


def test_a_chunk_of_an_earlier_version_has_one_result_a_file(tmp_path):
    options = pack_worker.DecodeOptions(tmp_path, (32, 32, 3), "center", "none")
    task = pack_worker.ChunkTask(tmp_path / "chunk.npz", ("a.png", "b.png"), options)
    np.savez(task.target, images=np.zeros((1, 32, 32, 3)), results=[("0", "", ""), ("", "no", "")])
    assert read_chunk_results(task)[["path", "reason"]].to_numpy().tolist() == [
        ["a.png", ""],
        ["b.png", "no"],
    ]


def test_chunks_of_other_jobs_are_never_used(raw, tmp_path):
    pack_job.open_work_folder(tmp_path / "work", "a" * 32, raw)
    late = pack_job._chunk_folder(tmp_path / "work") / "000000000.npz"
    pack_job.open_work_folder(tmp_path / "work", "b" * 32, raw)
    assert pack_job._chunk_folder(tmp_path / "work") != late.parent and not late.parent.exists()


@pytest.mark.slow
def test_unreadable_files_are_tried_again(raw, tmp_path, monkeypatch):
    lost, open_file = raw / "p05.png", Path.open

    def refuse(path, *arguments, **options):
        if path == lost:
            raise PermissionError(13, "Permission denied")
        return open_file(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        collection = pack_all(raw, tmp_path / "packed")
        reasons = collection.rejected.set_index("path")["reason"]
        assert reasons["p05.png"] == "can't be read: Permission denied"
        before = (tmp_path / "packed" / "manifest.json").stat().st_mtime_ns
        pack_all(raw, tmp_path / "packed")
        assert (tmp_path / "packed" / "manifest.json").stat().st_mtime_ns == before
        # Too many are rejected, and the run stops.
        with pytest.raises(GanvasError, match="can't be used"):
            pack_all(raw, tmp_path / "other", max_rejected_share=0.34)
    for name in ("packed", "other"):
        collection = pack_all(raw, tmp_path / name, max_rejected_share=0.34)
        assert "p05.png" in set(collection.index["path"])


def test_unreadable_files_are_tried_again_in_an_unfinished_shard(raw, tmp_path, monkeypatch):
    def refuse(path, *options):
        if path.name == "p06.png":
            raise KeyboardInterrupt
        if path.name == "p05.png":
            raise Rejection("can't be read: Stale file handle")
        return decode_image(path, *options)

    with monkeypatch.context() as patch:
        patch.setattr(pack_worker, "decode_image", refuse)
        with pytest.raises(KeyboardInterrupt):
            pack_all(raw, tmp_path / "packed")
    assert "p05.png" in set(pack_all(raw, tmp_path / "packed").index["path"])


@pytest.mark.parametrize("cut", [0, -20])
@pytest.mark.parametrize(
    ("storage", "name"),
    [
        ("raw", "chunks-*/*.npz"),
        ("raw", "rows-00000.parquet"),
        ("raw", "whole/images-00000.npy"),
        ("encoded", "chunks-*/*.npz"),
        ("encoded", "whole/images-00000.webps"),
        ("encoded", "whole/images-00000.offsets.npz"),
    ],
)
def test_files_damaged_by_a_power_cut_are_written_again(
    raw, tmp_path, monkeypatch, storage, name, cut
):
    pack_all(raw, tmp_path / "whole", storage=storage)
    decoded = []

    def stop(path, *options):
        decoded.append(path)
        if len(decoded) == 15:
            raise KeyboardInterrupt
        return decode_image(path, *options)

    with monkeypatch.context() as patch:
        patch.setattr(pack_worker, "decode_image", stop)
        with pytest.raises(KeyboardInterrupt):
            pack_all(raw, tmp_path / "packed", storage=storage)
    file = next((tmp_path / ".packed.partial").glob(name))
    file.write_bytes(file.read_bytes()[: cut or 0])
    pack_all(raw, tmp_path / "packed", storage=storage)
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


def test_a_collection_with_an_empty_shard_is_packed_again(raw, tmp_path):
    before = contents(pack_all(raw, tmp_path / "packed") and tmp_path / "packed")
    (tmp_path / "packed" / NAMES[0]).write_bytes(b"")
    pack_all(raw, tmp_path / "packed")
    assert contents(tmp_path / "packed") == before


def test_the_reason_of_a_duplicate_names_the_first_copy():
    rows = pd.DataFrame(
        {
            "path": ["a", "b", "c", "d", "e", "f"],
            "hash": ["1", "", "2", "1", "", "1"],
            "reason": ["", "truncated", "", "", "truncated", ""],
        }
    )
    marked = mark_duplicates(rows)
    again = "duplicate of a"
    assert marked["reason"].tolist() == ["", "truncated", "", again, "truncated", again]
    assert marked["hash"].tolist() == ["1", "", "2", "", "", ""]
    assert mark_duplicates(marked).equals(marked)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("storage", "stop_after"),
    [*(("raw", count) for count in (1, 2, 7, 12, 20, 26, 29)), ("encoded", 7), ("encoded", 26)],
)
def test_an_interrupted_run_resumes_to_the_same_bytes(
    raw, tmp_path, monkeypatch, storage, stop_after
):
    pack_all(raw, tmp_path / "whole", storage=storage)
    decoded = []

    def stop(path, *options):
        decoded.append(path)
        if len(decoded) == stop_after:
            raise KeyboardInterrupt
        return decode_image(path, *options)

    monkeypatch.setattr(pack_worker, "decode_image", stop)
    with pytest.raises(KeyboardInterrupt):
        pack_all(raw, tmp_path / "packed", storage=storage)
    assert not (tmp_path / "packed").exists()
    pack_all(raw, tmp_path / "packed", storage=storage)
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")
    # At most one chunk was lost.
    assert len(decoded) <= 30 + pack_worker.CHUNK_SIZE


def test_a_shard_whose_images_are_missing_is_packed_again(raw, tmp_path, monkeypatch):
    pack_all(raw, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("ganvas.ingestion.packing.replace_folder", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pack_all(raw, tmp_path / "packed")
    (tmp_path / ".packed.partial" / "whole" / NAMES[1]).unlink()
    pack_all(raw, tmp_path / "packed")
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


@pytest.mark.parametrize(("lost", "left"), [(0, 10), (1, 10), (3, 12)])
def test_a_missing_shard_is_an_error_and_packed_again(raw, tmp_path, lost, left):
    pack_all(raw, tmp_path / "packed")
    before = contents(tmp_path / "packed")
    (tmp_path / "packed" / NAMES[lost]).unlink()
    with pytest.raises(GanvasError, match=f"packed holds {left} images, but .* names 16: pack"):
        open_collection(tmp_path / "packed")
    pack_all(raw, tmp_path / "packed")
    assert contents(tmp_path / "packed") == before


def test_the_work_folder_of_another_source_is_deleted(raw, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("ganvas.ingestion.packing.replace_folder", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pack_all(raw, tmp_path / "packed")
    Image.new("RGB", (40, 40), (9, 9, 9)).save(raw / "p00.png")
    assert pack_all(raw, tmp_path / "packed").images[0][0, 0].tolist() == [9, 9, 9]


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_executor(raw, tmp_path, monkeypatch):
    pack_all(raw, tmp_path / "one")
    pack_all(raw, tmp_path / "threads", workers=2)
    monkeypatch.setattr("ganvas.ingestion.packing.SMALL_FILES", 0)
    pack_all(raw, tmp_path / "processes", workers=3)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        pack_all(raw, tmp_path / "cluster", scheduler=cluster.scheduler_address)
    assert contents(tmp_path / "threads") == contents(tmp_path / "one")
    assert contents(tmp_path / "processes") == contents(tmp_path / "one")
    assert contents(tmp_path / "cluster") == contents(tmp_path / "one")
    for workers in (1, 2):
        pack_all(raw, tmp_path / f"encoded_{workers}", storage="encoded", workers=workers)
    assert contents(tmp_path / "encoded_1") == contents(tmp_path / "encoded_2")


SCRIPT = """
import sys
from pathlib import Path
if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    import test_pack_job
    from ganvas.ingestion import packing
    packing.SMALL_FILES = 0
    test_pack_job.pack_job.SHARD_SIZE, test_pack_job.pack_job.CHUNK_SIZE = 8, 3
    test_pack_job.pack_all(Path(sys.argv[2]), Path(sys.argv[3]), storage=sys.argv[4], workers=2)
"""


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize("storage", ["raw", "encoded"])
def test_bytes_do_not_depend_on_kills(raw, tmp_path, storage):
    pack_all(raw, tmp_path / "whole", storage=storage)
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [
        sys.executable,
        "script.py",
        Path(__file__).parent,
        raw,
        tmp_path / "packed",
        storage,
    ]
    partial = tmp_path / ".packed.partial"
    for enough in (1, 4, 8):
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        while len(list(partial.glob("*/*"))) < enough and process.poll() is None:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command, cwd=tmp_path, check=True)
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")
    assert not partial.exists()
