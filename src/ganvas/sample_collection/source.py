"""The sample collection as an ingestion source, drawn on first use."""

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import Field

from ganvas.atomic_files import replace_folder
from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.file_lock import exclusive_lock
from ganvas.progress import track
from ganvas.sample_collection import STYLES, draw_collection

# Marks a folder as drawn by Ganvas, so that it may be replaced, and holds its parameters.
MARKER = ".painted.json"
# Increase it whenever the drawing code would draw other images. Earlier versions recorded none.
DRAWING_VERSION = 2


class SampleParams(Params):
    """Parameters of the sample collection."""

    images: int = Field(600, ge=len(STYLES), le=100_000)
    seed: int = Field(0, ge=0)


def ensure_sample(folder: Path, params: SampleParams) -> None:
    """Draw the sample collection into a folder unless it holds one with these parameters.

    One that an earlier version of the code drew is drawn again.

    Raises:
        GanvasError: The folder holds other files, or another run draws to it.
    """
    if _is_drawn(folder, params):
        return
    with exclusive_lock(folder, f"draws the sample collection to {folder}", "set ingest.dataset"):
        # Another run may have drawn it since.
        if not _is_drawn(folder, params):
            _draw(folder, params)


def _is_drawn(folder: Path, params: SampleParams) -> bool:
    try:
        return bool(json.loads((folder / MARKER).read_text()) == _describe(params))
    except (OSError, ValueError):
        return False


def _describe(params: SampleParams) -> dict[str, Any]:
    return params.model_dump() | {"drawing": DRAWING_VERSION}


def _draw(folder: Path, params: SampleParams) -> None:
    marker = folder / MARKER
    if folder.exists() and not marker.is_file() and any(folder.iterdir()):
        raise GanvasError(
            f"{folder} holds files that are not the sample collection: choose another "
            "ingest.source.path, or ingest.source.name=artworks to use them."
        )
    new = folder.with_name(f".{folder.name}.fresh")
    shutil.rmtree(new, ignore_errors=True)
    draw_collection(
        new,
        count=params.images,
        seed=params.seed,
        progress=lambda works, total: track(works, "Drawing the sample collection", total),
    )
    (new / MARKER).write_text(json.dumps(_describe(params)))
    replace_folder(folder, new)
