"""Parameters of evaluation."""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ganvas.base_params import Params
from ganvas.ingestion.archives import SUFFIXES
from ganvas.ingestion.object_store import is_url
from ganvas.metrics.extractor_names import INCEPTION_FILE, check_extractor
from ganvas.project_folder import resolve_path


def _check_local(path: str) -> str:
    if is_url(path):
        raise ValueError("allowed are paths, so download the images that are at a URL")
    return path


class EvaluateParams(Params):
    """Which metrics are computed, on how many images."""

    count: int = Field(500, ge=1, le=100_000)
    seed: int = Field(0, ge=0, lt=2**32)
    extractor: Annotated[str, AfterValidator(check_extractor)] | None = "efficientnet_lite2"
    weights: str | None = None
    real: int = Field(1000, ge=1, le=100_000)
    protocol: Literal["halves", "all"] = "halves"
    parzen: int = Field(0, ge=0, le=100_000)
    faces: int = Field(0, ge=0, le=100_000)
    path_pairs: int = Field(0, ge=0, le=100_000)
    path_sampling: Literal["end", "full"] = "end"
    images: Annotated[str, AfterValidator(_check_local)] | None = Field(None, min_length=1)
    against: Annotated[str, AfterValidator(_check_local)] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _check_weights(self) -> "EvaluateParams":
        if self.extractor == "inception" and not self.weights:
            raise ValueError(
                f"extractor is inception, which needs its published file {INCEPTION_FILE}: "
                "download it and set weights to its path"
            )
        return self

    @model_validator(mode="after")
    def _check_path_pairs(self) -> "EvaluateParams":
        if self.path_pairs and not self.extractor:
            raise ValueError(
                f"path_pairs is {self.path_pairs}, but extractor is null, and the perceptual path "
                "length compares features: set extractor to efficientnet_lite2, or path_pairs to 0"
            )
        return self

    @model_validator(mode="after")
    def _check_against(self) -> "EvaluateParams":
        if self.against and not self.images:
            raise ValueError(
                "against is set, but images is null: set images to the folder, archive or .npz "
                "file of images that are compared with it"
            )
        return self

    def choices(self, dataset: str) -> dict[str, str]:
        """Return the names of the folders of `evaluate_images`, for the paths of the catalog.

        Args:
            dataset: Name of the collection's folders.
        """
        return {
            "images": name_folder(self.images) if self.images else "none",
            "against": name_folder(self.against) if self.against else dataset,
        }


def name_folder(path: str) -> str:
    """Return the name of a folder for the results of images, with a hash of their path.

    Example:
        >>> name_folder("/home/ada/My samples.zip")
        'My_samples-1bc2a1a0'
    """
    absolute = resolve_path(path).absolute()
    key = hashlib.blake2b(os.fsencode(absolute), digest_size=4).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', stem(absolute))[:80]}-{key}"


def stem(path: Path) -> str:
    """Return the name of a folder, archive or file without the suffixes of its format.

    Example:
        >>> stem(Path("/home/ada/epoch.9.tar.gz")), stem(Path("samples"))
        ('epoch.9', 'samples')
    """
    name = path.name
    for suffix in sorted((*SUFFIXES, ".npz"), key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name
