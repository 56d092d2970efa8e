"""Pack images into shards; an interrupted job is resumed from its finished chunks and shards."""

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

from ganvas.arrays import limit_count
from ganvas.atomic_files import atomic_path
from ganvas.errors import GanvasError
from ganvas.ingestion.encoded_shards import (
    ENCODED_NAME,
    EncodedShard,
    index_of,
    list_encoded,
    write_encoded_shard,
)
from ganvas.ingestion.executors import ExecutorOptions, run_tasks
from ganvas.ingestion.pack_worker import (
    CHUNK_SIZE,
    RESULT_TYPES,
    ChunkTask,
    DecodeOptions,
    has_recovered,
    make_chunk,
    read_chunk_array,
    read_chunk_encoded,
    read_chunk_results,
)
from ganvas.ingestion.shards import SHARD_NAME, SHARD_SIZE, write_shard
from ganvas.ingestion.storage import Storage
from ganvas.progress import track

logger = logging.getLogger(__name__)

DUPLICATE = "duplicate of "


class Shard(NamedTuple):
    """A range of the listed files, whose images become one file.

    Attributes:
        images: File of the images; the index of encoded ones is beside it.
        results: Table with the result of each listed file, written last.
        tasks: Chunks of the shard.
        storage: How the images are stored.
    """

    images: Path
    results: Path
    tasks: list[ChunkTask]
    storage: Storage

    @property
    def finished(self) -> bool:
        """Whether all its files exist."""
        files = [self.results, self.images]
        if self.storage == "encoded":
            files.append(index_of(self.images))
        return all(file.exists() for file in files)


def open_work_folder(work: Path, fingerprint: str, raw: Path | None) -> None:
    """Create the folder of a job, or keep that of an interrupted job with the same fingerprint.

    Args:
        work: Folder of the job.
        fingerprint: Fingerprint of source and parameters.
        raw: Folder of the source, if this machine reads it.
    """
    marker = work / "fingerprint"
    if not (marker.is_file() and marker.read_text() == fingerprint):
        shutil.rmtree(work, ignore_errors=True)
        # exist_ok, since workers of a cluster may still write there.
        work.mkdir(parents=True, exist_ok=True)
        marker.write_text(fingerprint)
    for folder in (_chunk_folder(work), work / "whole"):
        folder.mkdir(exist_ok=True)
    _remove_invalid_files(work, raw)


def _remove_invalid_files(work: Path, raw: Path | None) -> None:
    """Remove files damaged by a power cut, and shards that lack files that are readable now."""
    for chunk in _chunk_folder(work).glob("*.npz"):
        if not _can_open(chunk, partial(read_chunk_array, name="results")):
            chunk.unlink()
    for images in (work / "whole").glob("*.npy"):
        if not _can_open(images, partial(np.load, mmap_mode="r", allow_pickle=False)):
            images.unlink()
    for images in list_encoded(work / "whole"):
        if not _can_open(images, EncodedShard):
            images.unlink(missing_ok=True)
            index_of(images).unlink(missing_ok=True)
    invalid = False
    for table in sorted(work.glob("rows-*.parquet")):
        invalid = invalid or not _can_open(table, pd.read_parquet)
        invalid = invalid or (raw is not None and has_recovered(pd.read_parquet(table), raw))
        # Duplicates depend on all earlier shards, so all later ones are invalid too.
        if invalid:
            table.unlink()


def _can_open(file: Path, read: Callable[[Path], Any]) -> bool:
    try:
        read(file)
    except (GanvasError, OSError, ValueError, KeyError, EOFError, BadZipFile):
        return False
    return True


def pack_shards(
    paths: pd.Series,
    decode_options: DecodeOptions,
    work: Path,
    executor_options: ExecutorOptions,
    storage: Storage = "raw",
) -> Iterator[pd.DataFrame]:
    """Pack files into the shards of `work/whole`, skipping finished shards.

    Args:
        paths: Files below the folder of the source.
        decode_options: How to decode them.
        work: Folder of the job.
        executor_options: Where to decode them.
        storage: How to store the images.

    Yields:
        After each shard, the results of all files so far, one row an image or a rejected file:
        path, hash ("" if rejected), reason ("" if packed), note, and width and height before
        cropping, see `DecodedImage` (0 if unknown). Of several files with the same content only the
        first is packed.

    Raises:
        GanvasError: The workers fail.
    """
    shards = _plan_shards(paths.tolist(), decode_options, work, storage)
    results = pd.DataFrame(columns=list(RESULT_TYPES)).astype(RESULT_TYPES)
    for shard, is_new in _make_chunks(shards, executor_options):
        if is_new:
            results = _finish_shard(shard, results, decode_options.shape)
            if len(shards) > 1:
                logger.info("%d of %d files read", results["path"].nunique(), len(paths))
        else:
            results = pd.concat([results, _read_results(shard)], ignore_index=True)
        yield results


def mark_duplicates(results: pd.DataFrame) -> pd.DataFrame:
    """Reject every image whose hash occurs in an earlier row.

    Args:
        results: Columns path, hash and reason.
    """
    hashes = results["hash"]
    repeated = (hashes != "") & hashes.duplicated()
    if not repeated.any():
        return results
    first = results[~repeated].drop_duplicates("hash").set_index("hash")["path"]
    return results.assign(
        reason=results["reason"].mask(repeated, DUPLICATE + hashes.map(first)),
        hash=hashes.mask(repeated, ""),
    )


def _chunk_folder(work: Path) -> Path:
    # One per fingerprint, since a cluster may still write chunks of a job with other parameters.
    return work / f"chunks-{(work / 'fingerprint').read_text()[:12]}"


def _plan_shards(
    paths: list[str], options: DecodeOptions, work: Path, storage: Storage
) -> list[Shard]:
    chunks = _chunk_folder(work).resolve()
    # Images of a chunk are in a worker's memory, and chunks of a shard on the disk beside it.
    shard_size, chunk_size = (limit_count(n, options.shape) for n in (SHARD_SIZE, CHUNK_SIZE))
    name = ENCODED_NAME if storage == "encoded" else SHARD_NAME
    shards = []
    for number, start in enumerate(range(0, len(paths), shard_size)):
        end = min(start + shard_size, len(paths))
        bounds = pairwise([*range(start, end, chunk_size), end])
        tasks = [
            ChunkTask(
                chunks / f"{first:09d}-{last:09d}.npz", tuple(paths[first:last]), options, storage
            )
            for first, last in bounds
        ]
        images = work / "whole" / name.format(number)
        shards.append(Shard(images, work / f"rows-{number:05d}.parquet", tasks, storage))
    return shards


def _make_chunks(shards: list[Shard], options: ExecutorOptions) -> Iterator[tuple[Shard, bool]]:
    """Yield each shard once all its chunks exist, and whether it was unfinished."""
    unfinished = [shard for shard in shards if not shard.finished]
    tasks = [task for shard in unfinished for task in shard.tasks]
    completed: set[Path] = set()
    with closing(run_tasks(make_chunk, tasks, options)) as running:
        progress = track(running, "Ingesting", total=len(tasks))
        for shard in shards:
            is_new = shard in unfinished
            while is_new and not completed.issuperset(task.target for task in shard.tasks):
                completed.add(next(progress).target)
            yield shard, is_new
        # Ends the progress bar.
        next(progress, None)


def _finish_shard(shard: Shard, earlier: pd.DataFrame, shape: tuple[int, int, int]) -> pd.DataFrame:
    """Write the images of a shard without duplicates; return the results of all files so far."""
    tables = [read_chunk_results(task) for task in shard.tasks]
    results = mark_duplicates(pd.concat([earlier, *tables], ignore_index=True))
    own = results[len(earlier) :]
    chunks = zip([task.target for task in shard.tasks], _packed_rows(tables, own), strict=True)
    if shard.storage == "encoded":
        encoded = (read_chunk_encoded(chunk).select(packed) for chunk, packed in chunks)
        write_encoded_shard(shard.images, encoded, shape)
    else:
        raw = (read_chunk_array(chunk, "images")[packed] for chunk, packed in chunks)
        write_shard(shard.images, raw, shape)
    with atomic_path(shard.results, durable=True) as partial_file:
        own.to_parquet(partial_file)
    for task in shard.tasks:
        task.target.unlink()
    return results


def _read_results(shard: Shard) -> pd.DataFrame:
    """Read the results of a finished shard; earlier versions recorded no sizes."""
    table = pd.read_parquet(shard.results)
    return table.reindex(columns=list(RESULT_TYPES), fill_value=0).astype(RESULT_TYPES)


def _packed_rows(tables: list[pd.DataFrame], results: pd.DataFrame) -> Iterator[np.ndarray]:
    """Yield of each chunk which of its images are packed: all but duplicates."""
    packed = (results["reason"] == "").to_numpy()
    start = 0
    for table in tables:
        decoded = (table["reason"] == "").to_numpy()
        yield packed[start : start + len(table)][decoded]
        start += len(table)
