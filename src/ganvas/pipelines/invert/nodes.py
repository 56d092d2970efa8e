"""Nodes of the invert pipeline."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ganvas.arrays import Images, SelectedImages
from ganvas.errors import GanvasError
from ganvas.ingestion.collection import Collection, open_collection
from ganvas.ingestion.color_conversion import read_color
from ganvas.ingestion.image_sets import ImageSet, SetOptions, open_images, read_image_set
from ganvas.keras_types import Model
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.invert.params import InvertParams
from ganvas.project_folder import resolve_path
from ganvas.visualization.contact_sheet import draw_rows
from ganvas.visualization.reduced_images import as_cells

if TYPE_CHECKING:
    from ganvas.latents.inversion import Inversion, Inverter

logger = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]
# Generated and validation images that are inverted for comparison.
REFERENCE_IMAGES = 16
# Training images among which the nearest is searched, and those that are compared by distance.
SEARCHED_IMAGES, COMPARED_IMAGES = 5000, 4
# Rows of a sheet.
SHEET_ROWS = 40


class Inverted(NamedTuple):
    """Images with what was found for them.

    Attributes:
        originals: The images.
        encoded: What the encoder alone finds.
        refined: What is found in the end.
        nearest: Nearest training images, uint8 of shape (N, H, W, C), and their distances (2, N);
            None without a collection.
        random: Distances from random training images, (2, N); None without a collection.
    """

    originals: ImageSet
    encoded: Inversion
    refined: Inversion
    nearest: tuple[np.ndarray, np.ndarray] | None
    random: np.ndarray | None


def read_originals(
    generator: Model, unpacked_folder: Path, params: InvertParams, ingest: IngestParams
) -> ImageSet:
    """Read the images to invert, prepared like those of the collection.

    Raises:
        GanvasError: There are none, or none can be used.
    """
    assert params.images, "checked before the run"
    path = resolve_path(params.images)
    source = open_images(path, unpacked_folder, "invert.images")
    options = SetOptions(
        tuple(generator.output_shape[1:]),
        ingest.crop,
        ingest.max_megapixels * 1e6,
        # Some of a folder need not be images, or have no face.
        1.0,
        ingest.workers,
        read_color(ingest.background),
        "none" if ingest.align == "none" else "faces",
    )
    if source.total > params.count:
        logger.warning(
            "%s has %d images, and the first %d are inverted: set invert.count to %d for all.",
            *(path, source.total, params.count, source.total),
        )
    images = read_image_set(source, np.arange(min(source.total, params.count)), options)
    if count := len(images.rejected):
        first = images.rejected.iloc[0]
        logger.warning("%d files can't be used, such as %s: %s.", count, first.path, first.reason)
    return images


def prepare_encoder(encoder: Arrays, generator: Model, class_list: dict[str, Any]) -> Arrays:
    """Return the generator's encoder; fit one to a generator that has none."""
    from ganvas.latents.fit_encoder import fit_encoder
    from ganvas.networks.image_encoder import to_arrays

    if encoder:
        return encoder
    logger.info("This generator has no encoder: one is fitted to images that it generates.")
    rows, _ = read_label_rows(class_list)
    return to_arrays(fit_encoder(generator, rows, description="Generating images"))


def invert_images(
    generator: Model,
    encoder: Arrays,
    class_list: dict[str, Any],
    collection_folder: Path,
    originals: ImageSet,
    params: InvertParams,
) -> tuple[Inverted, Arrays, dict[str, Any]]:
    """Find the latents of images, and compare distances with those of references.

    Returns:
        What was found; the latents `w`, `labels` and `names`; and medians of distances: of the
        images, of generated and of validation images that are inverted alike, and of training
        images.

    Raises:
        GanvasError: The generator has no such class, or its encoder is damaged.
    """
    from ganvas.networks.latent_spaces import generate_from_w, map_to_w
    from ganvas.networks.sampling import sample_latents

    inverter = make_inverter(generator, encoder, class_list)
    images = originals.images
    given = _find_class(class_list, params.class_name, len(images))
    # Before the search, since a damaged collection would lose what was found.
    collection = _open(collection_folder, images.shape[1:])

    def invert(batch: Images, labels: np.ndarray | None, steps: int, text: str | None) -> Inversion:
        return inverter.invert(batch, labels, steps, text, params.space, params.mix_classes)

    encoded = invert(images, given, 0, None)
    refined = invert(images, given, params.steps, "Inverting images")
    medians = {"images": _medians(refined), "encoder": _medians(encoded)}

    # 1. How near images of the generator itself come, which have latents.
    rows = inverter.label_rows[np.arange(REFERENCE_IMAGES) % len(inverter.label_rows)]
    w = map_to_w(generator, sample_latents(generator, REFERENCE_IMAGES, seed=0), rows)
    generated = generate_from_w(generator, w, rows)
    medians["generated"] = _medians(invert(generated, None, params.steps, "Inverting generated"))

    # 2. Real images, if there is a collection.
    nearest, random = None, None
    if collection:
        validation = collection.shuffled("validation")[:REFERENCE_IMAGES]
        if len(validation):
            real = SelectedImages(collection.images, validation)
            found = invert(real, None, params.steps, "Inverting validation images")
            medians["validation"] = _medians(found)
        nearest, random = _compare_with_training(inverter, images, collection)
        medians["nearest_training"] = _describe(*nearest[1])
        medians["random_training"] = _describe(*random)
    latents = {"w": refined.w, "labels": refined.labels, "names": _names(originals)}
    logger.info("Distances (medians): %s.", describe_medians(medians))
    return Inverted(originals, encoded, refined, nearest, random), latents, medians


def make_inverter(generator: Model, encoder: Arrays, class_list: dict[str, Any]) -> Inverter:
    """Return the inverter of a generator.

    Raises:
        GanvasError: The encoder is damaged, or of another generator.
    """
    from ganvas.latents.inversion import Inverter
    from ganvas.networks.image_encoder import from_arrays

    try:
        return Inverter(generator, from_arrays(encoder), *read_label_rows(class_list))
    except ValueError as error:
        raise GanvasError(
            f"encoder.npz of this generator can't be used ({error}): delete it, and the same "
            "command fits another one."
        ) from error


def read_label_rows(class_list: dict[str, Any]) -> tuple[np.ndarray | None, list[int] | None]:
    """Return rows of class weights (M, K), and the numbers of values of label columns.

    None stands for one-hot rows, and for one column.
    """
    rows, labels = class_list.get("rows"), class_list.get("labels")
    return (
        np.asarray(rows, np.float32) if rows else None,
        [len(label["values"]) for label in labels] if labels else None,
    )


def _find_class(class_list: dict[str, Any], name: str | None, count: int) -> np.ndarray | None:
    """Return labels of a class for all images, (N, K); None to find them."""
    names = class_list["names"]
    if name is None:
        return None
    if name not in names:
        has = f"the classes {', '.join(names)}" if names else "no classes"
        raise GanvasError(
            f"invert.class_name is '{name}', but this generator has {has}: choose among them, or "
            "set it to null."
        )
    rows, _ = read_label_rows(class_list)
    rows = np.eye(len(names), dtype=np.float32) if rows is None else rows
    return np.repeat(rows[[names.index(name)]], count, axis=0)


def _open(folder: Path, shape: tuple[int, ...]) -> Collection | None:
    """Return the collection, if there is one of images of this shape."""
    try:
        collection = open_collection(folder)
    except FileNotFoundError:
        logger.info("There is no collection in %s, so none is compared with.", folder)
        return None
    if collection.images.shape[1:] != shape:
        logger.info("The images of %s have another shape, so none is compared with.", folder)
        return None
    return collection


def _compare_with_training(
    inverter: Inverter, images: np.ndarray, collection: Collection
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return the nearest training images, their distances (2, N), and those of random ones.

    The nearest is that with the lowest feature distance, among the few with the nearest codes.
    """
    from ganvas.networks.image_encoder import encode

    training = np.sort(collection.shuffled("train")[:SEARCHED_IMAGES])
    real = SelectedImages(collection.images, training)
    codes = [encode(inverter.encoder, x).reshape(len(x), -1) for x in (real, images)]
    nearest = np.empty(images.shape, np.uint8)
    distances = np.empty((2, len(images)), np.float32)
    for number, code in enumerate(codes[1]):
        found = np.square(codes[0] - code).sum(axis=1).argsort(kind="stable")[:COMPARED_IMAGES]
        candidates = real[found]
        both = np.stack(inverter.distances(candidates, images[[number] * len(candidates)]))
        best = both[1].argmin()
        nearest[number], distances[:, number] = candidates[best], both[:, best]
    rng = np.random.default_rng(0)
    random = SelectedImages(collection.images, rng.choice(training, len(images)))
    return (nearest, distances), np.stack(inverter.distances(random, images))


def list_distances(inverted: Inverted, class_list: dict[str, Any]) -> pd.DataFrame:
    """Return a table with the distances of each image, and the class that was found."""
    refined, encoded = inverted.refined, inverted.encoded
    columns = {
        "file": _names(inverted.originals),
        "class": _name_classes(refined.labels, class_list),
        "pixel_distance": refined.pixel_distances,
        "feature_distance": refined.feature_distances,
        "encoder_pixel_distance": encoded.pixel_distances,
        "encoder_feature_distance": encoded.feature_distances,
    }
    for name, distances in (
        ("nearest_training", inverted.nearest and inverted.nearest[1]),
        ("random_training", inverted.random),
    ):
        if distances is not None:
            columns |= {f"{name}_pixel_distance": distances[0]}
            columns |= {f"{name}_feature_distance": distances[1]}
    table = pd.DataFrame(columns)
    # Rounded float32 would be written with all their digits.
    return table.astype(dict.fromkeys(table.columns[2:], float)).round(5)


def draw_inverted(inverted: Inverted) -> np.ndarray:
    """Draw each original beside what the encoder finds, what is found in the end, and the nearest.

    Returns:
        uint8 of shape (H', W', 3).
    """
    blocks = {
        "original": inverted.originals.images,
        "encoder": inverted.encoded.images,
        "refined": inverted.refined.images,
    }
    if inverted.nearest is not None:
        blocks["nearest"] = inverted.nearest[0]
    names = [Path(name).name for name in _names(inverted.originals)[:SHEET_ROWS]]
    return draw_rows(
        names,
        {
            title: [as_cells(image[None]) for image in images[:SHEET_ROWS]]
            for title, images in blocks.items()
        },
    )


def describe_medians(medians: dict[str, dict[str, float]]) -> str:
    """Return medians of distances in one line.

    Example:
        >>> describe_medians({"images": {"pixel_distance": 0.0812, "feature_distance": 0.45}})
        'images 0.45 in features and 0.081 in pixels'
    """
    return ", ".join(
        f"{name.replace('_', ' ')} {both['feature_distance']:.2g}"
        + (" in features" if not number else "")
        + f" and {both['pixel_distance']:.2g}"
        + (" in pixels" if not number else "")
        for number, (name, both) in enumerate(medians.items())
    )


def _medians(inversion: Inversion) -> dict[str, float]:
    return _describe(inversion.pixel_distances, inversion.feature_distances)


def _describe(pixels: np.ndarray, features: np.ndarray) -> dict[str, float]:
    return {
        "count": len(pixels),
        "pixel_distance": round(float(np.median(pixels)), 5),
        "feature_distance": round(float(np.median(features)), 5),
    }


def _names(images: ImageSet) -> np.ndarray:
    return images.index["path"].to_numpy(dtype=str)


def _name_classes(labels: np.ndarray, class_list: dict[str, Any]) -> list[str]:
    """Return the name of the nearest class of each row of weights; "" without classes."""
    names = class_list["names"]
    if not names:
        return [""] * len(labels)
    rows, _ = read_label_rows(class_list)
    rows = np.eye(len(names), dtype=np.float32) if rows is None else rows[: len(names)]
    nearest = np.square(labels[:, None] - rows).sum(axis=2).argmin(axis=1)
    return [names[number] for number in nearest]
