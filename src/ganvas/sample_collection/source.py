"""The sample collection as a source: painted on first use, and again when its parameters change."""

import json
import shutil
from pathlib import Path

from pydantic import Field

from ganvas.atomic_files import replace_folder
from ganvas.base_params import Params
from ganvas.errors import GanvasError
from ganvas.progress import track
from ganvas.sample_collection import STYLES, paint_collection

# Says what the folder was painted from, and that it was painted by us and may be replaced.
MARK = ".painted.json"


class SampleParams(Params):
    """Parameters of the sample collection."""

    images: int = Field(600, ge=len(STYLES), le=100_000)
    seed: int = Field(0, ge=0)


def ensure_sample(folder: Path, params: SampleParams) -> None:
    """Paint the sample collection into a folder unless it lies there already.

    Raises:
        GanvasError: The folder holds something else, which is left alone.
    """
    mark = folder / MARK
    wanted = params.model_dump()
    if mark.is_file() and json.loads(mark.read_text()) == wanted:
        return
    if folder.exists() and not mark.is_file() and any(folder.iterdir()):
        raise GanvasError(
            f"{folder} holds files that are not the sample collection: choose another "
            "ingest.source.path, or ingest.source.name=artworks to use them."
        )
    fresh = folder.with_name(f".{folder.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    paint_collection(
        fresh,
        count=params.images,
        seed=params.seed,
        progress=lambda works, total: track(works, "Painting the sample collection", total),
    )
    (fresh / MARK).write_text(json.dumps(wanted))
    replace_folder(folder, fresh)
