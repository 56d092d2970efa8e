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
from ganvas.ingestion.decode import Rejection, decode_image
from ganvas.ingestion.file_index import FACTS, list_files, make_skipped
from ganvas.ingestion.pack_job import mark_duplicates
from ganvas.ingestion.pack_worker import read_chunk_results, read_images
from ganvas.ingestion.packing import PackParams, pack

NAMES = ["images-00000.npy", "images-00001.npy", "images-00002.npy", "images-00003.npy"]


@pytest.fixture
def raw(tmp_path):
    """Thirty files, so four shards of eight: some spoilt, some the same in other shards."""
    folder = tmp_path / "raw"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(30):
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number:02d}.png")
    for number in (3, 9, 16, 17, 18, 19, 20, 21, 22, 23):
        (folder / f"p{number:02d}.png").write_text("spoilt")
    for number in (1, 12, 25, 27):
        (folder / f"p{number:02d}.png").write_bytes((folder / "p00.png").read_bytes())
    return folder


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(pack_job, "SHARD", 8)
    monkeypatch.setattr(pack_job, "CHUNK", 3)


def pack_all(raw, folder, **params):
    records = pd.DataFrame(sorted(list_files(raw, "")), columns=["path", *FACTS])
    chosen = {"size": 32, "max_rejected_share": 0.5, "workers": 1} | params
    return pack(records, make_skipped([], ""), raw, folder, PackParams(**chosen))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_shards_hold_what_a_plain_loop_would_keep(raw, tmp_path):
    collection = pack_all(raw, tmp_path / "packed")
    left_out = {1, 3, 9, 12, 16, 17, 18, 19, 20, 21, 22, 23, 25, 27}
    expected = [f"p{number:02d}.png" for number in range(30) if number not in left_out]
    assert collection.index["path"].tolist() == expected
    images = np.stack([decode_image(raw / path, 32)[0] for path in expected])
    assert np.array_equal(collection.images[:], images)
    reasons = collection.rejected.set_index("path")["reason"]
    assert len(reasons) == len(left_out) and reasons["p16.png"] == "not an image"
    assert all(reasons[f"p{number:02d}.png"] == "duplicate of p00.png" for number in (1, 12, 25))
    lengths = [len(np.load(tmp_path / "packed" / name)) for name in NAMES]
    assert lengths == [6, 6, 0, 4]
    assert sorted(contents(tmp_path / "packed")) == [
        *NAMES,
        "index.parquet",
        "manifest.json",
        "rejected.parquet",
    ]


def test_a_chunk_says_what_became_of_each_file(raw, tmp_path):
    target = tmp_path / "chunk.npz"
    recipe = pack_worker.DecodeOptions(raw, 32, "center", "none")
    pack_worker.make_chunk(pack_worker.ChunkTask(target, ("p02.png", "p03.png", "p04.png"), recipe))
    answers = read_chunk_results(target)
    assert answers["reason"].tolist() == ["", "not an image", ""]
    expected = [decode_image(raw / path, 32) for path in ("p02.png", "p04.png")]
    assert answers["hash"].tolist() == [expected[0][1], "", expected[1][1]]
    assert np.array_equal(read_images(target), np.stack([pixels for pixels, _ in expected]))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["chunk.npz"]


def test_chunks_of_other_work_are_never_taken(raw, tmp_path):
    pack_job.open_work(tmp_path / "work", "a" * 32, raw)
    late = pack_job._chunks(tmp_path / "work") / "000000000.npz"
    pack_job.open_work(tmp_path / "work", "b" * 32, raw)
    assert pack_job._chunks(tmp_path / "work") != late.parent and not late.parent.exists()


def test_what_the_system_has_refused_is_tried_again(raw, tmp_path, monkeypatch):
    lost, read = raw / "p05.png", Path.read_bytes

    def refuse(path):
        if path == lost:
            raise PermissionError(13, "Permission denied")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        collection = pack_all(raw, tmp_path / "packed")
        reasons = collection.rejected.set_index("path")["reason"]
        assert reasons["p05.png"] == "can't be read: Permission denied"
        before = (tmp_path / "packed" / "manifest.json").stat().st_mtime_ns
        pack_all(raw, tmp_path / "packed")
        assert (tmp_path / "packed" / "manifest.json").stat().st_mtime_ns == before
        # Too many are refused, and the run stops with what is done so far.
        with pytest.raises(GanvasError, match="can't be used"):
            pack_all(raw, tmp_path / "other", max_rejected_share=0.34)
    for name in ("packed", "other"):
        collection = pack_all(raw, tmp_path / name, max_rejected_share=0.34)
        assert "p05.png" in set(collection.index["path"])


def test_what_the_system_has_refused_is_tried_again_in_a_shard_under_way(
    raw, tmp_path, monkeypatch
):
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
@pytest.mark.parametrize("name", ["chunks-*/*.npz", "rows-00000.parquet", "whole/images-00000.npy"])
def test_work_that_a_power_cut_has_spoilt_is_done_again(raw, tmp_path, monkeypatch, name, cut):
    pack_all(raw, tmp_path / "whole")
    looked_at = []

    def stop(path, *options):
        looked_at.append(path)
        if len(looked_at) == 15:
            raise KeyboardInterrupt
        return decode_image(path, *options)

    with monkeypatch.context() as patch:
        patch.setattr(pack_worker, "decode_image", stop)
        with pytest.raises(KeyboardInterrupt):
            pack_all(raw, tmp_path / "packed")
    file = next((tmp_path / ".packed.partial").glob(name))
    file.write_bytes(file.read_bytes()[: cut or 0])
    pack_all(raw, tmp_path / "packed")
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


def test_a_collection_with_an_empty_shard_is_packed_anew(raw, tmp_path):
    before = contents(pack_all(raw, tmp_path / "packed") and tmp_path / "packed")
    (tmp_path / "packed" / NAMES[0]).write_bytes(b"")
    pack_all(raw, tmp_path / "packed")
    assert contents(tmp_path / "packed") == before


def test_duplicates_are_named_after_the_first_of_them():
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


@pytest.mark.parametrize("stop_after", [1, 2, 7, 12, 20, 26, 29])
def test_a_run_stopped_on_the_way_goes_on_to_the_same_bytes(raw, tmp_path, monkeypatch, stop_after):
    pack_all(raw, tmp_path / "whole")
    looked_at = []

    def stop(path, *options):
        looked_at.append(path)
        if len(looked_at) == stop_after:
            raise KeyboardInterrupt
        return decode_image(path, *options)

    monkeypatch.setattr(pack_worker, "decode_image", stop)
    with pytest.raises(KeyboardInterrupt):
        pack_all(raw, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
    pack_all(raw, tmp_path / "packed")
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")
    # What was lost is one chunk at most.
    assert len(looked_at) <= 30 + pack_job.CHUNK


def test_a_shard_whose_images_were_lost_is_made_again(raw, tmp_path, monkeypatch):
    pack_all(raw, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("ganvas.ingestion.packing.replace_folder", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pack_all(raw, tmp_path / "packed")
    (tmp_path / ".packed.partial" / "whole" / NAMES[1]).unlink()
    pack_all(raw, tmp_path / "packed")
    assert contents(tmp_path / "packed") == contents(tmp_path / "whole")


@pytest.mark.parametrize(("lost", "left"), [(0, 10), (1, 10), (3, 12)])
def test_a_lost_shard_is_told_and_packed_anew(raw, tmp_path, lost, left):
    pack_all(raw, tmp_path / "packed")
    before = contents(tmp_path / "packed")
    (tmp_path / "packed" / NAMES[lost]).unlink()
    with pytest.raises(GanvasError, match=f"packed holds {left} images, but .* names 16: pack"):
        open_collection(tmp_path / "packed")
    pack_all(raw, tmp_path / "packed")
    assert contents(tmp_path / "packed") == before


def test_work_on_another_source_is_thrown_away(raw, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("ganvas.ingestion.packing.replace_folder", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pack_all(raw, tmp_path / "packed")
    Image.new("RGB", (40, 40), (9, 9, 9)).save(raw / "p00.png")
    assert pack_all(raw, tmp_path / "packed").images[0][0, 0].tolist() == [9, 9, 9]


def test_the_bytes_are_the_same_wherever_the_work_is_done(raw, tmp_path):
    pack_all(raw, tmp_path / "one")
    pack_all(raw, tmp_path / "processes", workers=3)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        pack_all(raw, tmp_path / "cluster", scheduler=cluster.scheduler_address)
    assert contents(tmp_path / "processes") == contents(tmp_path / "one")
    assert contents(tmp_path / "cluster") == contents(tmp_path / "one")


SCRIPT = """
import sys
from pathlib import Path
if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    import test_pack_job
    test_pack_job.pack_job.SHARD, test_pack_job.pack_job.CHUNK = 8, 3
    test_pack_job.pack_all(Path(sys.argv[2]), Path(sys.argv[3]), workers=2)
"""


def test_killed_at_any_moment_it_ends_in_the_same_bytes(raw, tmp_path):
    pack_all(raw, tmp_path / "whole")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", Path(__file__).parent, raw, tmp_path / "packed"]
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
