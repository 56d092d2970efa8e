"""Packing: every image decoded once, into shards that are memory-mapped ever after."""

import hashlib
import json
import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from ganvas.atomic_files import atomic_path, replace_folder
from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.ingestion.collection import (
    INDEX,
    MANIFEST,
    REJECTED,
    Collection,
    count_reasons,
    open_collection,
    read_fingerprint,
)
from ganvas.ingestion.decode import Align, Crop
from ganvas.ingestion.executors import ExecutorOptions
from ganvas.ingestion.file_index import FACTS
from ganvas.ingestion.locking import exclusive_lock, explain
from ganvas.ingestion.pack_job import DUPLICATE, open_work, pack_shards
from ganvas.ingestion.pack_worker import DecodeOptions, has_recovered

logger = logging.getLogger(__name__)

# To be raised whenever the same files and parameters would be packed to other bytes.
FORMAT = 2
# The bytes do not depend on these parameters.
HOW = {"max_rejected_share", "workers", "scheduler"}


class PackParams(Params):
    """How images are packed.

    Attributes:
        size: Side of the packed images in pixels.
        crop: The square to keep of each: its center, where most detail is, or all on white.
        align: What to find and put upright first: nothing, or the largest face.
        validation_share: Share of the images, chosen by content, that training never sees and
            that choices are made by; where a source has a split of its own, that one counts.
        test_share: Share of the images, chosen by content, kept for what nothing else looks at:
            the test images of `evaluate.parzen`.
        max_rejected_share: Above this share of files that can't be used, the run stops.
        workers: Processes that decode; None: one a core.
        scheduler: Address of a Dask scheduler whose workers decode instead; they must see the
            source and the collection under the same paths as this machine.
    """

    size: Literal[32, 64, 128, 256] = 64
    crop: Crop = "center"
    align: Align = "none"
    validation_share: float = Field(0.1, ge=0, le=0.4)
    test_share: float = Field(0.05, ge=0, le=0.4)
    max_rejected_share: float = Field(0.25, ge=0, le=1)
    workers: int | None = Field(None, ge=1, le=256)
    scheduler: str | None = Field(None, pattern=r"^(tcp|tls|ws|wss|ucx)://.+$")


def pack(
    records: pd.DataFrame, remarks: pd.DataFrame, raw: Path, folder: Path, params: PackParams
) -> Collection:
    """Pack the listed images into a folder, or do nothing when they are packed already.

    A run that is stopped on the way leaves the collection of the run before it, and beside it
    what is done so far, with which the next run goes on. The folder is replaced as a whole at the
    end; its bytes do not depend on where and in how many runs the work was done.

    Args:
        records: One row a file: path below `raw`, bytes, modified_ns, label columns, and `split`
            where the source has its own.
        remarks: One row a file that the source itself leaves out: path and reason. They are
            listed among the rejected, but not counted against their allowed share.
        raw: The source's folder.
        folder: Where the collection lies.
        params: How to pack.

    Raises:
        GanvasError: Too many files can't be used, the workers or the disk don't play along, or
            another run is packing there.
    """
    fingerprint = _fingerprint(records, params)
    work = folder.with_name(f".{folder.name}.partial")
    try:
        known = read_fingerprint(folder) == fingerprint
        # A cluster's workers may be refused what this machine may read.
        own = raw if params.scheduler is None else None
        if not known or (own and has_recovered(open_collection(folder).rejected, own)):
            with exclusive_lock(folder):
                open_work(work, fingerprint, own)
                index, rejected = _pack_files(records, raw, work, params)
                rejected = pd.concat([rejected, remarks], ignore_index=True)
                _complete(work / "whole", index, rejected, fingerprint)
                replace_folder(folder, work / "whole")
                shutil.rmtree(work, ignore_errors=True)
            _report(len(records), index, rejected, params.size)
        else:
            rejected = open_collection(folder).rejected
            listed = rejected[rejected["path"].isin(records["path"])]
            _check_share(listed, len(records), raw, params.max_rejected_share)
            logger.info("The images are unchanged since they were packed.")
            _keep_remarks(folder, rejected, pd.concat([listed, remarks], ignore_index=True))
            _throw_away(work, folder)
        return open_collection(folder)
    except OSError as error:
        raise GanvasError(explain(error, folder, "packed", "ingest")) from error


def choose_split(hashes: pd.Series, validation_share: float, test_share: float) -> np.ndarray:
    """Choose splits by content, so that an image keeps its own when others are added.

    Args:
        hashes: Hexadecimal digits.
        validation_share: From 0 to 1.
        test_share: From 0 to 1; another share moves no image in or out of validation.

    Returns:
        train, validation or test for each.
    """
    position = hashes.str[:8].map(lambda text: int(text, 16) / 16**8)
    # From the two ends, so that neither share moves the other's images.
    ends = [position < validation_share, position >= 1 - test_share]
    return np.select(ends, ["validation", "test"], "train")


def _keep_remarks(folder: Path, old: pd.DataFrame, new: pd.DataFrame) -> None:
    """Write the table of rejected files anew where a file came or went that is no image."""
    if not new.equals(old):
        with (
            suppress(GanvasError),
            exclusive_lock(folder),
            atomic_path(folder / REJECTED) as partial,
        ):
            new.to_parquet(partial)


def _fingerprint(records: pd.DataFrame, params: PackParams) -> str:
    chosen = params.model_dump(include=set(PackParams.model_fields) - HOW)
    state = hashlib.blake2b(json.dumps([FORMAT, chosen]).encode(), digest_size=16)
    state.update(json.dumps(list(records.columns)).encode())
    state.update(pd.util.hash_pandas_object(records, index=False).to_numpy().tobytes())
    return state.hexdigest()


def _pack_files(
    records: pd.DataFrame, raw: Path, work: Path, params: PackParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pack all files into `work/whole`; return the index and the table of rejected files."""
    recipe = DecodeOptions(raw.resolve(), params.size, params.crop, params.align)
    place = ExecutorOptions(params.scheduler, params.workers)
    rows = None
    for rows in pack_shards(records["path"], recipe, work, place):
        _check_share(rows, len(records), raw, params.max_rejected_share)
    assert rows is not None
    return _make_tables(records, rows, params)


def _throw_away(work: Path, folder: Path) -> None:
    """Remove work that is not needed, unless another run, with other parameters, is at it."""
    if work.exists():
        with suppress(GanvasError, OSError), exclusive_lock(folder):
            shutil.rmtree(work, ignore_errors=True)


def _check_share(rows: pd.DataFrame, count: int, raw: Path, allowed: float) -> None:
    """Stop as soon as it is certain that too many files can't be used."""
    bad = rows[(rows["reason"] != "") & ~rows["reason"].str.startswith(DUPLICATE)]
    if len(bad) <= allowed * count and len(bad) < count:
        return
    examples = "; ".join(f"{row.path}: {row.reason}" for row in bad.head(3).itertuples())
    raise GanvasError(
        f"{len(bad)} of {count} files below {raw} can't be used ({examples}): at most a share of "
        f"{allowed:g} is allowed; mend them or raise 'ingest.max_rejected_share'."
    )


def _make_tables(
    records: pd.DataFrame, rows: pd.DataFrame, params: PackParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    kept = (rows["reason"] == "").to_numpy()
    index = records[kept].drop(columns=list(FACTS)).reset_index(drop=True)
    index["hash"] = rows.loc[kept, "hash"].reset_index(drop=True)
    if "split" not in index:
        index["split"] = choose_split(index["hash"], params.validation_share, params.test_share)
    return index, rows.loc[~kept, ["path", "reason"]]


def _complete(folder: Path, index: pd.DataFrame, rejected: pd.DataFrame, fingerprint: str) -> None:
    index.to_parquet(folder / INDEX)
    rejected.to_parquet(folder / REJECTED)
    (folder / MANIFEST).write_text(json.dumps({"fingerprint": fingerprint}))


def _report(count: int, index: pd.DataFrame, rejected: pd.DataFrame, size: int) -> None:
    reasons = [f"{number} {reason}" for reason, number in count_reasons(rejected).items()]
    told = f"; rejected or left out: {', '.join(reasons)}" if reasons else ""
    splits = ", ".join(f"{number} {name}" for name, number in index["split"].value_counts().items())
    logger.info(
        "%d of %d files packed at %d×%d (%s)%s", len(index), count, size, size, splits, told
    )
