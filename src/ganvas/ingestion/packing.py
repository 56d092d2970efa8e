"""Pack a source: decode every image once, into shards of raw or encoded images."""

import hashlib
import json
import logging
import shutil
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field

from ganvas.arrays import limit_count
from ganvas.atomic_files import atomic_path, replace_folder
from ganvas.base_params import Params
from ganvas.disk_space import check_free_space, explain_disk_error
from ganvas.errors import GanvasError
from ganvas.file_lock import exclusive_lock
from ganvas.image_shape import (
    CHANNEL_COUNTS,
    SIZE_TEXT,
    Channels,
    Size,
    check_size,
    describe_size,
    height_and_width,
)
from ganvas.ingestion.collection import (
    INDEX,
    MANIFEST,
    REJECTED,
    Collection,
    count_reasons,
    open_collection,
    read_fingerprint,
    read_manifest,
    read_source,
    replace_collection,
)
from ganvas.ingestion.color_conversion import COLOR_TEXT, check_color, read_color
from ganvas.ingestion.cropping import Crop, measure_enlargement
from ganvas.ingestion.decode import GUESSED_RANGE, MAX_PIXELS, ONE_LEVEL, Align
from ganvas.ingestion.encoded_shards import check_codec
from ganvas.ingestion.executors import ExecutorOptions
from ganvas.ingestion.file_index import FILE_STATS
from ganvas.ingestion.near_duplicates import group_near_duplicates, join_groups
from ganvas.ingestion.pack_job import DUPLICATE, open_work_folder, pack_shards
from ganvas.ingestion.pack_worker import DecodeOptions, has_recovered
from ganvas.ingestion.selection import SelectionParams
from ganvas.ingestion.shards import SHARD_SIZE, ShardedImages, find_storage, open_shards
from ganvas.ingestion.splits import (
    choose_split,
    in_several_splits,
    keep_groups_together,
    keep_validation,
)
from ganvas.ingestion.storage import (
    Storage,
    StorageChoice,
    choose_storage,
    estimate_bytes,
)

logger = logging.getLogger(__name__)

# Part of the fingerprint; increase it when the same input would be packed to other images. Levels
# that differ by the error of resampling don't count: earlier collections are as good, and their
# runs can be resumed only as long as they stay.
FORMAT_VERSION = 3
# Column of the index that counts the faces of a file.
FACE_NUMBER = "face_number"
# Columns of the index of stretched images: their sizes before, in pixels.
ORIGINAL_SIZE = ["original_width", "original_height"]
# Parameters of later versions, which are part of fingerprints only where they are set, so that
# collections of earlier versions keep theirs.
LATER_PARAMS = {"channels", "background"}
# A source of fewer files and bytes, none of which is large, is decoded in two or three seconds a
# core, which starting a process takes too.
SMALL_FILES, SMALL_BYTES, LARGE_FILE = 4096, 2**29, 2**23
# Parameters that do not change the images, so they are not part of the fingerprint.
EXECUTION_PARAMS = {"storage", "max_rejected_share", "workers", "scheduler"}


class PackParams(Params):
    """Parameters of packing."""

    size: Annotated[Size, BeforeValidator(check_size), Field(description=SIZE_TEXT)] = 64
    channels: Channels = "rgb"
    background: Annotated[str, BeforeValidator(check_color), Field(description=COLOR_TEXT)] = (
        "white"
    )
    crop: Crop = "center"
    align: Align = "none"
    max_megapixels: float = Field(MAX_PIXELS / 1e6, ge=1, le=10_000)
    storage: StorageChoice = "auto"
    validation_share: float = Field(0.1, ge=0, le=0.4)
    test_share: float = Field(0.05, ge=0, le=0.4)
    max_rejected_share: float = Field(0.25, ge=0, le=1)
    workers: int | None = Field(None, ge=1, le=256)
    scheduler: str | None = Field(
        None,
        pattern=r"^(tcp|tls|ws|wss|ucx)://.+$",
        description="address of a Dask scheduler, such as tcp://10.0.0.1:8786",
    )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (H, W, C) of the packed images."""
        return (*height_and_width(self.size), CHANNEL_COUNTS[self.channels])


def pack(
    records: pd.DataFrame,
    skipped: pd.DataFrame,
    raw: Path,
    folder: Path,
    params: PackParams,
    choice: dict[str, Any] | None = None,
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
        choice: How the records were chosen, which the manifest records.

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
        unchanged = read_fingerprint(folder) == fingerprint and _is_stored_as(folder, params)
        # Workers of a cluster may have other permissions than this machine.
        local_raw = raw if params.scheduler is None else None
        if unchanged and not (
            local_raw and has_recovered(open_collection(folder).rejected, local_raw)
        ):
            _update_rejected(folder, records, skipped, raw, params)
            _update_manifest(folder, raw, params, choice)
            _remove_work_folder(work, folder)
            return open_collection(folder)
        with _lock(folder), replace_collection(folder):
            previous = read_source(folder)
            if previous not in (None, str(raw.absolute())):
                logger.warning("%s holds images of %s, which are replaced.", folder, previous)
            storage = choose_storage(params.image_shape, params.storage)
            if storage == "encoded":
                check_codec()
            open_work_folder(work, _job_key(fingerprint, storage), local_raw)
            _check_space(work, len(records), params, storage)
            index, rejected = _pack_files(records, raw, work, params, storage)
            near_duplicates = _split_images(index, open_shards(work / "whole"), params)
            rejected = pd.concat([rejected, skipped], ignore_index=True)
            # The manifest is written last: it marks the collection as complete.
            index.to_parquet(work / "whole" / INDEX)
            rejected.to_parquet(work / "whole" / REJECTED)
            manifest: dict[str, Any] = {"fingerprint": fingerprint}
            manifest |= {"near_duplicates": near_duplicates} | _describe_aspect(index)
            manifest |= _describe_source(raw, params, choice)
            (work / "whole" / MANIFEST).write_text(json.dumps(manifest))
            replace_folder(folder, work / "whole")
            shutil.rmtree(work, ignore_errors=True)
        _log_result(len(records), index, rejected, params.image_shape)
        return open_collection(folder)
    except OSError as error:
        raise GanvasError(explain_disk_error(error, folder, "packed")) from error


def _lock(folder: Path) -> AbstractContextManager[None]:
    return exclusive_lock(folder, f"packs {folder}", "set ingest.dataset to pack to another folder")


def _is_stored_as(folder: Path, params: PackParams) -> bool:
    """Return whether a collection is stored as wanted: `auto` keeps one however it is stored."""
    return params.storage in ("auto", find_storage(folder))


def _job_key(fingerprint: str, storage: Storage) -> str:
    """Return what identifies a job: raw and encoded chunks must not be mixed."""
    if storage == "raw":
        return fingerprint
    return hashlib.blake2b(f"{fingerprint} {storage}".encode(), digest_size=16).hexdigest()


def _check_space(work: Path, count: int, params: PackParams, storage: Storage) -> None:
    """Check that the disk has space for the images of so many files, apart from finished ones."""
    held = sum(file.stat().st_size for file in work.rglob("*") if file.is_file())
    least, likely = estimate_bytes(params.image_shape, storage)
    # The chunks of a shard are kept until it is written; all other images may be duplicates.
    chunks = min(count, limit_count(SHARD_SIZE, params.image_shape))
    least = chunks * least * (1 - params.max_rejected_share) - held
    check_free_space(work.parent, least, (count + chunks) * likely - held, "packed images")


def reuse_without_source(raw: Path, folder: Path, params: PackParams) -> Collection | None:
    """Return the collection that was packed with the same parameters from images that are gone.

    Args:
        raw: Folder of the source, which is missing or empty, such as that of a disk that is not
            connected.
        folder: Folder of the collection.
        params: How to pack; those of the source too, if it has them.

    Returns:
        None if the images are there, or the collection is not complete, or was packed from another
        folder, with other parameters or by an earlier version.
    """
    try:
        if any(raw.iterdir()):
            return None
    except OSError:
        pass  # It is no folder, or can't be read.
    manifest = read_manifest(folder)
    if (
        manifest.get("source") != str(raw.absolute())
        or manifest.get("parameters") != _hash_parameters(params)
        or read_fingerprint(folder) is None
    ):
        return None
    return open_collection(folder)


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


def _update_manifest(
    folder: Path, raw: Path, params: PackParams, choice: dict[str, Any] | None
) -> None:
    """Update the source of an unchanged collection, since it may be moved, and its parameters."""
    manifest = read_manifest(folder)
    kept = {name: value for name, value in manifest.items() if name != "choice"}
    updated = kept | _describe_source(raw, params, choice)
    if updated != manifest:
        with (
            suppress(GanvasError),
            _lock(folder),
            atomic_path(folder / MANIFEST) as partial,
        ):
            partial.write_text(json.dumps(updated))


def _describe_aspect(index: pd.DataFrame) -> dict[str, float]:
    """Return the median of width divided by height of stretched images before they were."""
    if ORIGINAL_SIZE[0] not in index:
        return {}
    width, height = (index[name] for name in ORIGINAL_SIZE)
    return {"aspect": round(float((width / height).median()), 4)}


def _describe_source(
    raw: Path, params: PackParams, choice: dict[str, Any] | None
) -> dict[str, Any]:
    source = {"source": str(raw.absolute()), "parameters": _hash_parameters(params)}
    return source | ({"choice": choice} if choice else {})


def _hash_parameters(params: PackParams) -> str:
    """Return a hash of the parameters that change the collection; of sources, of the chosen one.

    Parameters of the choice count only if they are set, since earlier versions had none.
    """
    relevant = params.model_dump(mode="json", exclude=EXECUTION_PARAMS | {"dataset"})
    defaults = {name: field.default for name, field in SelectionParams.model_fields.items()}
    defaults |= {name: PackParams.model_fields[name].default for name in LATER_PARAMS}
    for name, default in defaults.items():
        if name in relevant and relevant[name] == default:
            del relevant[name]
    source = relevant.pop("source", {})
    chosen = [source.get("name"), source.get(source.get("name"))]
    content = json.dumps([FORMAT_VERSION, relevant, chosen], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _remove_work_folder(work: Path, folder: Path) -> None:
    """Remove a work folder that is not needed, unless another run uses it."""
    if work.exists():
        with suppress(GanvasError, OSError), _lock(folder):
            shutil.rmtree(work, ignore_errors=True)


def _fingerprint(records: pd.DataFrame, params: PackParams) -> str:
    relevant = params.model_dump(
        include=set(PackParams.model_fields) - EXECUTION_PARAMS - LATER_PARAMS
    ) | params.model_dump(include=LATER_PARAMS, exclude_defaults=True)
    state = hashlib.blake2b(json.dumps([FORMAT_VERSION, relevant]).encode(), digest_size=16)
    state.update(json.dumps(list(records.columns)).encode())
    state.update(pd.util.hash_pandas_object(records, index=False).to_numpy().tobytes())
    return state.hexdigest()


def _is_small(records: pd.DataFrame, params: PackParams) -> bool:
    """Return whether starting processes would take longer than they save.

    Pillow decodes without holding Python's lock. Large files need the memory, and alignment the
    time, for which processes are better: if one is killed, it is replaced.
    """
    sizes = records["bytes"]
    is_small = len(sizes) <= SMALL_FILES and sizes.sum() <= SMALL_BYTES
    return bool(is_small and sizes.max() <= LARGE_FILE and params.align == "none")


def _pack_files(
    records: pd.DataFrame, raw: Path, work: Path, params: PackParams, storage: Storage
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pack all files into `work/whole`; return the index and the table of rejected files."""
    for cause, names in (("align=all_faces", [FACE_NUMBER]), ("crop=stretch", ORIGINAL_SIZE)):
        key, value = cause.split("=")
        taken = [name for name in names if name in records]
        if getattr(params, key) == value and taken:
            raise GanvasError(
                f"The images have a label column {taken[0]}, which ingest.{cause} adds: call it "
                "otherwise in the table of labels."
            )
    max_pixels = params.max_megapixels * 1e6
    decode_options = DecodeOptions(
        raw.resolve(),
        params.image_shape,
        params.crop,
        params.align,
        max_pixels,
        read_color(params.background),
    )
    executor_options = ExecutorOptions(params.scheduler, params.workers, _is_small(records, params))
    results = None
    shards = pack_shards(records["path"], decode_options, work, executor_options, storage)
    for results in shards:
        _check_rejected_share(results, len(records), raw, params.max_rejected_share)
    assert results is not None
    is_packed = results["reason"] == ""
    packed = results[is_packed].reset_index(drop=True)
    _warn_of_notes(packed)
    _warn_of_enlargement(packed, params)
    rows = pd.Index(records["path"]).get_indexer(pd.Index(packed["path"]))
    index = records.iloc[rows].drop(columns=list(FILE_STATS)).reset_index(drop=True)
    if params.align == "all_faces":
        index.insert(1, FACE_NUMBER, packed.groupby("path", sort=False).cumcount() + 1)
    index["hash"] = packed["hash"]
    if params.crop == "stretch":
        index[ORIGINAL_SIZE] = packed[["width", "height"]]
    # Of a file with several faces, which is the duplicate of another, one row.
    return index, results.loc[~is_packed, ["path", "reason"]].drop_duplicates("path")


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
            files = paths.drop_duplicates()
            more = ", …" * (len(files) > 3)
            examples = f"{', '.join(files.head(3))}{more}"
            logger.warning("%d of %d images (%s) %s.", len(paths), len(results), examples, warning)


def _warn_of_enlargement(results: pd.DataFrame, params: PackParams) -> None:
    """Warn of packed images that had fewer pixels than they have now, once a collection."""
    height, width = height_and_width(params.size)
    # An earlier version may have decoded the first part of them, and recorded no sizes.
    known = results[results["width"] > 0]
    factors = np.array(
        [
            measure_enlargement(original, (width, height), params.crop)
            for original in zip(known["width"], known["height"], strict=True)
        ]
    )
    is_enlarged = factors > 1
    if count := int(is_enlarged.sum()):
        logger.warning(
            "%d of %d images (%.0f %%), such as %s, have fewer pixels than %s and are enlarged, by "
            "%.2g times in the median, so they are blurred: set ingest.size to a smaller one, or "
            "leave them out.",
            count,
            len(results),
            100 * count / len(results),
            known["path"].to_numpy()[is_enlarged][0],
            describe_size(height, width),
            np.median(factors[is_enlarged]),
        )


def _split_images(index: pd.DataFrame, images: ShardedImages, params: PackParams) -> dict[str, int]:
    """Add the column split, unless the source has one; count the images that are nearly equal.

    A collection that is packed keeps its splits until it is packed again, so FORMAT_VERSION does
    not count changes of this function.
    """
    near = group_near_duplicates(images)
    several = np.bincount(near, minlength=len(near))[near] > 1
    counts = {"images": int(several.sum()), "groups": len(np.unique(near[several]))}
    own = "split" in index
    if not own:
        # All faces of a file are in one split too.
        groups = join_groups(near, index["path"]) if FACE_NUMBER in index else near
        hashes, share = index["hash"], params.validation_share
        before = choose_split(hashes, share, params.test_share)
        splits = keep_groups_together(before, hashes, groups, share)
        index["split"] = keep_validation(splits, hashes, groups, share)
    if own:
        apart = in_several_splits(index["split"].to_numpy(), near)
        counts["in_several_splits"] = int(apart.sum())
    else:
        counts["moved"] = int((before != splits).sum())
    if several.any():
        _log_near_duplicates(index["path"], near, several, counts)
    return counts


def _log_near_duplicates(
    paths: pd.Series, groups: np.ndarray, several: np.ndarray, counts: dict[str, int]
) -> None:
    first = int(np.flatnonzero(several)[0])
    second = int(np.flatnonzero(groups == groups[first])[1])
    pair = f"such as {paths.iloc[first]} and {paths.iloc[second]}"
    if counts.get("in_several_splits"):
        logger.warning(
            "%d images are nearly equal to others, %s, and %d of them are in several splits of the "
            "source, so that validation images may look copied.",
            counts["images"],
            pair,
            counts["in_several_splits"],
        )
    else:
        logger.info(
            "%d images are nearly equal to others, %s: each is in the same split as those.",
            counts["images"],
            pair,
        )


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


def _log_result(
    count: int, index: pd.DataFrame, rejected: pd.DataFrame, shape: tuple[int, int, int]
) -> None:
    reasons = [f"{number} {reason}" for reason, number in count_reasons(rejected).items()]
    suffix = f"; rejected or skipped: {', '.join(reasons)}" if reasons else ""
    splits = ", ".join(f"{number} {name}" for name, number in index["split"].value_counts().items())
    files = index["path"].nunique()
    faces = f" with {len(index)} faces" if FACE_NUMBER in index else ""
    logger.info(
        "%d of %d files%s packed at %s (%s)%s",
        files,
        count,
        faces,
        describe_size(*shape[:2]),
        splits,
        suffix,
    )
