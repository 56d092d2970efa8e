"""Packing under way: chunks made by workers, shards made of chunks, both kept between runs."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from ganvas.atomic_files import atomic_path
from ganvas.ingestion.executors import ExecutorOptions, run_tasks
from ganvas.ingestion.pack_worker import (
    CHUNK,
    ChunkTask,
    DecodeOptions,
    has_recovered,
    make_chunk,
    read_chunk_results,
    read_images,
)
from ganvas.ingestion.shards import NAME, SHARD, write_shard
from ganvas.progress import track

logger = logging.getLogger(__name__)

DUPLICATE = "duplicate of "
COLUMNS = ["path", "hash", "reason"]


class Shard(NamedTuple):
    """A range of the source's listing that becomes one file of images.

    Attributes:
        images: The file of its images.
        done: The table of what became of each listed file; written last, it says that the shard
            is finished.
        tasks: Its chunks.
    """

    images: Path
    done: Path
    tasks: list[ChunkTask]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.done.exists() and self.images.exists()


def open_work(work: Path, fingerprint: str, raw: Path | None) -> None:
    """Make the folder of work under way, or keep it if it is work on the same thing.

    Args:
        work: The folder.
        fingerprint: Of what is packed.
        raw: The source's folder, if it is this machine that reads it.
    """
    mark = work / "fingerprint"
    if not (mark.is_file() and mark.read_text() == fingerprint):
        shutil.rmtree(work, ignore_errors=True)
        # A cluster's workers may write there still.
        work.mkdir(parents=True, exist_ok=True)
        mark.write_text(fingerprint)
    for folder in (_chunks(work), work / "whole"):
        folder.mkdir(exist_ok=True)
    _mend(work, raw)


def _mend(work: Path, raw: Path | None) -> None:
    """Remove what a power cut has spoilt, and shards that lack what can be read by now."""
    for chunk in _chunks(work).glob("*.npz"):
        if not _opens(chunk, read_chunk_results):
            chunk.unlink()
    for images in (work / "whole").glob("*.npy"):
        if not _opens(images, partial(np.load, mmap_mode="r", allow_pickle=False)):
            images.unlink()
    lost = False
    for table in sorted(work.glob("rows-*.parquet")):
        lost = lost or not _opens(table, pd.read_parquet)
        lost = lost or (raw is not None and has_recovered(pd.read_parquet(table), raw))
        # Whether an image is a duplicate follows from the shards before it.
        if lost:
            table.unlink()


def _opens(file: Path, read: Callable[[Path], Any]) -> bool:
    try:
        read(file)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return False
    return True


def pack_shards(
    paths: pd.Series, recipe: DecodeOptions, work: Path, place: ExecutorOptions
) -> Iterator[pd.DataFrame]:
    """Pack the listed files into `work/whole`, shard by shard, leaving out those that are there.

    Args:
        paths: The files below the source's folder.
        recipe: What is done to each.
        work: The folder of work under way.
        place: Where it is done.

    Yields:
        After each shard a table of what became of all files so far: path, hash ("" for a rejected
        file) and reason ("" for an image). Of several files with the same content the first
        stays.

    Raises:
        GanvasError: The workers can't do their work.
    """
    shards = _plan(paths.tolist(), recipe, work)
    done = pd.DataFrame(columns=COLUMNS, dtype="str")
    for shard, fresh in _make_chunks(shards, place):
        done = _finish(shard, done, recipe.size) if fresh else _add(done, shard)
        if fresh and len(shards) > 1:
            logger.info("%d of %d files read", len(done), len(paths))
        yield done


def mark_duplicates(rows: pd.DataFrame) -> pd.DataFrame:
    """Give every image whose hash stands in an earlier row the reason, and no hash.

    Args:
        rows: Columns path, hash and reason.
    """
    hashes = rows["hash"]
    repeated = (hashes != "") & hashes.duplicated()
    if not repeated.any():
        return rows
    first = rows[~repeated].drop_duplicates("hash").set_index("hash")["path"]
    return rows.assign(
        reason=rows["reason"].mask(repeated, DUPLICATE + hashes.map(first)),
        hash=hashes.mask(repeated, ""),
    )


def _chunks(work: Path) -> Path:
    """Name the folder of chunks: a cluster may still be at those of a run with other parameters."""
    return work / f"chunks-{(work / 'fingerprint').read_text()[:12]}"


def _plan(paths: list[str], recipe: DecodeOptions, work: Path) -> list[Shard]:
    chunks = _chunks(work).resolve()
    shards = []
    for number, start in enumerate(range(0, len(paths), SHARD)):
        end = min(start + SHARD, len(paths))
        bounds = pairwise([*range(start, end, CHUNK), end])
        tasks = [
            ChunkTask(chunks / f"{first:09d}.npz", tuple(paths[first:last]), recipe)
            for first, last in bounds
        ]
        images = work / "whole" / NAME.format(number)
        shards.append(Shard(images, work / f"rows-{number:05d}.parquet", tasks))
    return shards


def _make_chunks(shards: list[Shard], place: ExecutorOptions) -> Iterator[tuple[Shard, bool]]:
    """Give each shard once all its chunks are made, and whether it had to be worked on."""
    fresh = [shard for shard in shards if not shard.finished]
    tasks = [task for shard in fresh for task in shard.tasks]
    made: set[Path] = set()
    with closing(run_tasks(make_chunk, tasks, place)) as running:
        progress = track(running, "Ingesting", total=len(tasks))
        for shard in shards:
            while shard in fresh and not made.issuperset(task.target for task in shard.tasks):
                made.add(next(progress).target)
            yield shard, shard in fresh
        # Lets the bar end.
        next(progress, None)


def _finish(shard: Shard, done: pd.DataFrame, size: int) -> pd.DataFrame:
    """Write a shard's images but those seen before; return all rows so far with its own."""
    tables = [
        read_chunk_results(task.target).assign(path=pd.Series(task.paths, dtype="str"))
        for task in shard.tasks
    ]
    rows = mark_duplicates(pd.concat([done, *tables], ignore_index=True)[COLUMNS])
    own = rows[len(done) :]
    write_shard(shard.images, _kept(shard.tasks, tables, own), size)
    with atomic_path(shard.done, durable=True) as unfinished:
        own.to_parquet(unfinished)
    for task in shard.tasks:
        task.target.unlink()
    return rows


def _kept(
    tasks: list[ChunkTask], tables: list[pd.DataFrame], rows: pd.DataFrame
) -> Iterator[np.ndarray]:
    stays = (rows["reason"] == "").to_numpy()
    start = 0
    for task, table in zip(tasks, tables, strict=True):
        decoded = (table["reason"] == "").to_numpy()
        yield read_images(task.target)[stays[start : start + len(table)][decoded]]
        start += len(table)


def _add(done: pd.DataFrame, shard: Shard) -> pd.DataFrame:
    return pd.concat([done, pd.read_parquet(shard.done)], ignore_index=True)
