"""Pack a source: decode every image once, into memory-mapped shards."""

import hashlib
import json
import logging
import shutil
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from ganvas.atomic_files import atomic_path, replace_folder
from ganvas.base_params import Params
from ganvas.disk_space import check_free_space, explain_disk_error
from ganvas.errors import GanvasError
from ganvas.file_lock import exclusive_lock
from ganvas.ingestion.collection import (
    INDEX,
    MANIFEST,
    REJECTED,
    Collection,
    count_reasons,
    open_collection,
    read_fingerprint,
    read_source,
)
from ganvas.ingestion.decode import GUESSED_RANGE, MAX_PIXELS, ONE_LEVEL, Align, Crop
from ganvas.ingestion.executors import ExecutorOptions
from ganvas.ingestion.file_index import FILE_STATS
from ganvas.ingestion.pack_job import DUPLICATE, open_work_folder, pack_shards
from ganvas.ingestion.pack_worker import DecodeOptions, has_recovered
from ganvas.ingestion.shards import SHARD_SIZE

logger = logging.getLogger(__name__)

# Part of the fingerprint; increase it when the same input would be packed to other bytes.
FORMAT_VERSION = 3
# Parameters that do not change the packed bytes, so they are not part of the fingerprint.
EXECUTION_PARAMS = {"max_rejected_share", "workers", "scheduler"}


class PackParams(Params):
    """Parameters of packing."""

    size: Literal[32, 64, 128, 256] = 64
    crop: Crop = "center"
    align: Align = "none"
    max_megapixels: float = Field(MAX_PIXELS / 1e6, ge=1, le=10_000)
    validation_share: float = Field(0.1, ge=0, le=0.4)
    test_share: float = Field(0.05, ge=0, le=0.4)
    max_rejected_share: float = Field(0.25, ge=0, le=1)
    workers: int | None = Field(None, ge=1, le=256)
    scheduler: str | None = Field(None, pattern=r"^(tcp|tls|ws|wss|ucx)://.+$")


def pack(
    records: pd.DataFrame, skipped: pd.DataFrame, raw: Path, folder: Path, params: PackParams
) -> Collection:
    """Pack the listed images into a folder, unless it holds the same ones already.

    An interrupted run keeps the previous collection, and its own work in a hidden folder from
    which the next run resumes. The folder is replaced as a whole at the end. Its bytes do not
    depend on workers and interruptions.

    Args:
        records: One row a file: path below `raw`, bytes, modified_ns, label columns and,
            optionally, `split`.
        skipped: One row a file that the source skips: path and reason. They are listed among the
            rejected files, but do not count towards `max_rejected_share`.
        raw: Folder of the source.
        folder: Folder of the collection.
        params: How to pack.

    Raises:
        GanvasError: Too many files are rejected, the workers or the disk fail, or another run
            packs to the same folder.

    Example:
        >>> raw = Path("data/01_raw/artworks")
        >>> records, skipped, _ = list_images(raw, SourceParams(name="artworks"))
        >>> collection = pack(records, skipped, raw, Path("packed"), PackParams(size=64))
    """
    fingerprint = _fingerprint(records, params)
    work = folder.with_name(f".{folder.name}.partial")
    try:
        unchanged = read_fingerprint(folder) == fingerprint
        # Workers of a cluster may have other permissions than this machine.
        local_raw = raw if params.scheduler is None else None
        if unchanged and not (
            local_raw and has_recovered(open_collection(folder).rejected, local_raw)
        ):
            _update_rejected(folder, records, skipped, raw, params)
            _update_source(folder, fingerprint, raw)
            _remove_work_folder(work, folder)
            return open_collection(folder)
        with _lock(folder):
            previous = read_source(folder)
            if previous not in (None, str(raw.absolute())):
                logger.warning("%s holds images of %s, which are replaced.", folder, previous)
            open_work_folder(work, fingerprint, local_raw)
            _check_space(work, len(records), params)
            index, rejected = _pack_files(records, raw, work, params)
            rejected = pd.concat([rejected, skipped], ignore_index=True)
            # The manifest is written last: it marks the collection as complete.
            index.to_parquet(work / "whole" / INDEX)
            rejected.to_parquet(work / "whole" / REJECTED)
            (work / "whole" / MANIFEST).write_text(_manifest(fingerprint, raw))
            replace_folder(folder, work / "whole")
            shutil.rmtree(work, ignore_errors=True)
        _log_result(len(records), index, rejected, params.size)
        return open_collection(folder)
    except OSError as error:
        raise GanvasError(explain_disk_error(error, folder, "packed")) from error


def _lock(folder: Path) -> AbstractContextManager[None]:
    return exclusive_lock(folder, f"packs {folder}", "set ingest.dataset to pack to another folder")


def _check_space(work: Path, count: int, params: PackParams) -> None:
    """Check that the disk has space for the images of so many files, apart from finished ones."""
    held = sum(file.stat().st_size for file in work.rglob("*") if file.is_file())
    image = params.size**2 * 3
    # The chunks of a shard are kept until it is written; all other images may be duplicates.
    chunks = min(count, SHARD_SIZE) * image
    least = chunks * (1 - params.max_rejected_share) - held
    check_free_space(work.parent, least, count * image + chunks - held, "packed images")


def choose_split(hashes: pd.Series, validation_share: float, test_share: float) -> np.ndarray:
    """Choose splits by content, so that images keep theirs when others are added.

    Args:
        hashes: Hexadecimal hashes of the files.
        validation_share: From 0 to 1.
        test_share: From 0 to 1. Each share leaves the other split unchanged.

    Returns:
        train, validation or test for each hash.

    Example:
        >>> choose_split(pd.Series(["0" * 32, "7" * 32, "f" * 32]), 0.1, 0.1).tolist()
        ['validation', 'train', 'test']
    """
    position = hashes.str[:8].map(lambda text: int(text, 16) / 16**8)
    # Taken from both ends, so that neither share moves images of the other split.
    conditions = [position < validation_share, position >= 1 - test_share]
    return np.select(conditions, ["validation", "test"], "train")


def _update_rejected(
    folder: Path, records: pd.DataFrame, skipped: pd.DataFrame, raw: Path, params: PackParams
) -> None:
    """Update the rejected files of an unchanged collection, since skipped files may change."""
    rejected = open_collection(folder).rejected
    results = rejected[rejected["path"].isin(records["path"])]
    _check_rejected_share(results, len(records), raw, params.max_rejected_share)
    logger.info("The images are unchanged since they were packed.")
    updated = pd.concat([results, skipped], ignore_index=True)
    if not updated.equals(rejected):
        with (
            suppress(GanvasError),
            _lock(folder),
            atomic_path(folder / REJECTED) as partial,
        ):
            updated.to_parquet(partial)


def _update_source(folder: Path, fingerprint: str, raw: Path) -> None:
    """Update the folder that an unchanged collection was packed from, since it may be moved."""
    if read_source(folder) != str(raw.absolute()):
        with (
            suppress(GanvasError),
            _lock(folder),
            atomic_path(folder / MANIFEST) as partial,
        ):
            partial.write_text(_manifest(fingerprint, raw))


def _manifest(fingerprint: str, raw: Path) -> str:
    return json.dumps({"fingerprint": fingerprint, "source": str(raw.absolute())})


def _remove_work_folder(work: Path, folder: Path) -> None:
    """Remove a work folder that is not needed, unless another run uses it."""
    if work.exists():
        with suppress(GanvasError, OSError), _lock(folder):
            shutil.rmtree(work, ignore_errors=True)


def _fingerprint(records: pd.DataFrame, params: PackParams) -> str:
    relevant = params.model_dump(include=set(PackParams.model_fields) - EXECUTION_PARAMS)
    state = hashlib.blake2b(json.dumps([FORMAT_VERSION, relevant]).encode(), digest_size=16)
    state.update(json.dumps(list(records.columns)).encode())
    state.update(pd.util.hash_pandas_object(records, index=False).to_numpy().tobytes())
    return state.hexdigest()


def _pack_files(
    records: pd.DataFrame, raw: Path, work: Path, params: PackParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pack all files into `work/whole`; return the index and the table of rejected files."""
    max_pixels = params.max_megapixels * 1e6
    decode_options = DecodeOptions(
        raw.resolve(), params.size, params.crop, params.align, max_pixels
    )
    executor_options = ExecutorOptions(params.scheduler, params.workers)
    results = None
    for results in pack_shards(records["path"], decode_options, work, executor_options):
        _check_rejected_share(results, len(records), raw, params.max_rejected_share)
    assert results is not None
    packed = (results["reason"] == "").to_numpy()
    _warn_of_notes(results[packed])
    index = records[packed].drop(columns=list(FILE_STATS)).reset_index(drop=True)
    index["hash"] = results.loc[packed, "hash"].reset_index(drop=True)
    if "split" not in index:
        index["split"] = choose_split(index["hash"], params.validation_share, params.test_share)
    return index, results.loc[~packed, ["path", "reason"]]


def _warn_of_notes(results: pd.DataFrame) -> None:
    """Warn of packed images that may not look as they should, once a collection."""
    warnings = {
        GUESSED_RANGE: "have samples of more than 8 bits in a range that their files don't state, "
        "so the levels of black and white were guessed from each image: if they look too bright, "
        "too dark or too flat, save them with 8 bits per sample",
        ONE_LEVEL: "are of nearly one level: if they are not plain areas of color, their levels "
        "were scaled wrongly, so save them with 8 bits per sample",
    }
    for note, warning in warnings.items():
        paths = results.loc[results["note"].str.contains(note, regex=False), "path"]
        if len(paths):
            more = ", …" * (len(paths) > 3)
            examples = f"{', '.join(paths.head(3))}{more}"
            logger.warning("%d of %d images (%s) %s.", len(paths), len(results), examples, warning)


def _check_rejected_share(results: pd.DataFrame, count: int, raw: Path, allowed: float) -> None:
    """Raise an error as soon as too many files are rejected; duplicates do not count."""
    bad = results[(results["reason"] != "") & ~results["reason"].str.startswith(DUPLICATE)]
    if len(bad) <= allowed * count and len(bad) < count:
        return
    examples = "; ".join(f"{row.path}: {row.reason}" for row in bad.head(3).itertuples())
    raise GanvasError(
        f"{len(bad)} of {count} files below {raw} can't be used ({examples}): at most a share of "
        f"{allowed:g} is allowed; fix them or raise 'ingest.max_rejected_share'."
    )


def _log_result(count: int, index: pd.DataFrame, rejected: pd.DataFrame, size: int) -> None:
    reasons = [f"{number} {reason}" for reason, number in count_reasons(rejected).items()]
    suffix = f"; rejected or skipped: {', '.join(reasons)}" if reasons else ""
    splits = ", ".join(f"{number} {name}" for name, number in index["split"].value_counts().items())
    logger.info(
        "%d of %d files packed at %d×%d (%s)%s", len(index), count, size, size, splits, suffix
    )
