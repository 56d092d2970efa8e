"""Packing: every picture decoded once, into one array that is memory-mapped ever after."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from ganvas.errors import GanvasError
from ganvas.params import Params
from ganvas.progress import track
from ganvas.sources.collection import (
    IMAGES,
    INDEX,
    MANIFEST,
    REJECTED,
    Collection,
    open_collection,
    read_fingerprint,
)
from ganvas.sources.decode import Crop, Rejection, decode_picture
from ganvas.sources.listing import FACTS

logger = logging.getLogger(__name__)

# To be raised whenever the same files and parameters would be packed to other bytes.
FORMAT = 1
# Pictures in flight at once: enough to keep every core busy, few enough to bound the memory.
BLOCK = 256


class PackParams(Params):
    """How pictures are packed.

    Attributes:
        size: Side of the packed pictures in pixels.
        crop: The square to keep of each: its centre, where most detail is, or all on white.
        validation_share: Share of the pictures, chosen by content, that training never sees;
            where a source has a split of its own, that one counts.
        max_rejected_share: Above this share of files that can't be used, the run stops.
    """

    size: Literal[32, 64, 128, 256] = 64
    crop: Crop = "centre"
    validation_share: float = Field(0.1, ge=0, le=0.5)
    max_rejected_share: float = Field(0.25, ge=0, le=1)


def pack(
    records: pd.DataFrame, remarks: pd.DataFrame, raw: Path, folder: Path, params: PackParams
) -> Collection:
    """Pack the listed pictures into a folder, or do nothing when they are packed already.

    The folder is replaced as a whole at the end, so a run that is stopped on the way leaves the
    collection of the run before it.

    Args:
        records: One row a file: path below `raw`, bytes, modified_ns, label columns, and `split`
            where the source has its own.
        remarks: One row a file that the source itself leaves out: path and reason. They are
            listed among the rejected, but not counted against their allowed share.
        raw: The source's folder.
        folder: Where the collection lies.
        params: How to pack.

    Raises:
        GanvasError: Too many files can't be used.
    """
    fingerprint = _fingerprint(records, remarks, params)
    if read_fingerprint(folder) == fingerprint:
        collection = open_collection(folder)
        logger.info("%d pictures unchanged since they were packed", len(collection.index))
        return collection
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        index, rejected = _write_images(records, raw, partial / IMAGES, params)
        _check_share(records, rejected, params.max_rejected_share, raw)
        if "split" not in index:
            index["split"] = _choose_split(index["hash"], params.validation_share)
        index.to_parquet(partial / INDEX)
        rejected = pd.concat([rejected, remarks], ignore_index=True)
        rejected.to_parquet(partial / REJECTED)
        (partial / MANIFEST).write_text(json.dumps({"fingerprint": fingerprint}))
        _replace(folder, partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    logger.info(
        "%d of %d files packed at %d×%d, %d rejected or left out",
        *(len(index), len(records), params.size, params.size, len(rejected)),
    )
    return open_collection(folder)


def _fingerprint(records: pd.DataFrame, remarks: pd.DataFrame, params: PackParams) -> str:
    chosen = params.model_dump(include=set(PackParams.model_fields))
    state = hashlib.blake2b(json.dumps([FORMAT, chosen]).encode(), digest_size=16)
    for table in (records, remarks):
        state.update(json.dumps(list(table.columns)).encode())
        state.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return state.hexdigest()


def _write_images(
    records: pd.DataFrame, raw: Path, file: Path, params: PackParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode all pictures into one .npy file; return the rows that went in and the rejected."""
    kept: list[int] = []
    rejected: list[dict[str, str]] = []
    first_with: dict[str, str] = {}
    decoded = _decode_all(records["path"].tolist(), raw, params)
    with file.open("wb") as stream:
        _write_header(stream, 0, params.size)
        for row, (path, answer) in enumerate(track(decoded, "Ingesting", total=len(records))):
            if isinstance(answer, tuple) and answer[1] in first_with:
                answer = f"duplicate of {first_with[answer[1]]}"
            if isinstance(answer, str):
                rejected.append({"path": path, "reason": answer})
                continue
            pixels, content_hash = answer
            first_with[content_hash] = path
            stream.write(pixels.tobytes())
            kept.append(row)
        _write_header(stream, len(kept), params.size)
    index = records.iloc[kept].drop(columns=list(FACTS)).reset_index(drop=True)
    index["hash"] = pd.Series(list(first_with), dtype="str")
    return index, pd.DataFrame(rejected, columns=["path", "reason"], dtype="str")


def _write_header(stream: BinaryIO, count: int, size: int) -> None:
    # NumPy leaves room in a header for the first axis to grow, so it can be written anew.
    stream.seek(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
    np.lib.format.write_array_header_1_0(stream, header)


def _decode_all(
    paths: list[str], raw: Path, params: PackParams
) -> Iterator[tuple[str, tuple[np.ndarray, str] | str]]:
    def decode(path: str) -> tuple[np.ndarray, str] | str:
        try:
            return decode_picture(raw / path, params.size, params.crop)
        except Rejection as rejection:
            return str(rejection)

    # Pillow lets go of the interpreter lock while it decodes and resizes.
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        for start in range(0, len(paths), BLOCK):
            block = paths[start : start + BLOCK]
            yield from zip(block, executor.map(decode, block), strict=True)


def _check_share(records: pd.DataFrame, rejected: pd.DataFrame, allowed: float, raw: Path) -> None:
    unusable = rejected[~rejected["reason"].str.startswith("duplicate of")]
    if len(unusable) <= allowed * len(records) and len(rejected) < len(records):
        return
    examples = "; ".join(f"{row.path}: {row.reason}" for row in unusable.head(3).itertuples())
    raise GanvasError(
        f"{len(unusable)} of {len(records)} files below {raw} can't be used ({examples}): "
        f"at most a share of {allowed:g} is allowed; mend them or raise "
        "'ingest.max_rejected_share'."
    )


def _choose_split(hashes: pd.Series, validation_share: float) -> np.ndarray:
    """By content, so that a picture keeps its split when others are added."""
    position = hashes.str[:8].map(lambda text: int(text, 16) / 16**8)
    return np.where(position < validation_share, "validation", "train")


def _replace(folder: Path, by: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    by.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
