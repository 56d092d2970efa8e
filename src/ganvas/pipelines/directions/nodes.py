"""Nodes of the directions pipeline."""

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganvas.errors import GanvasError
from ganvas.keras_types import Model
from ganvas.label_columns import read_class_list
from ganvas.latents.direction_effects import (
    Probes,
    find_range,
    generate_edits,
    make_probes,
    measure_attribute,
    measure_changes,
    spread_strengths,
)
from ganvas.latents.directions import (
    Direction,
    from_arrays,
    merge_directions,
    to_arrays,
)
from ganvas.latents.ganspace import find_components
from ganvas.latents.latent_samples import LatentSamples, sample_w
from ganvas.latents.sefa import factorize_weights
from ganvas.names import suggest_names
from ganvas.networks.gan_networks import is_style_based
from ganvas.networks.latent_spaces import w_shape
from ganvas.networks.styles import select_layers
from ganvas.pipelines.directions.params import DirectionsParams
from ganvas.pipelines.directions.supervision import Features, Found, find_supervised
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.progress import track
from ganvas.project_folder import resolve_path
from ganvas.visualization.contact_sheet import draw_rows
from ganvas.visualization.image_tables import draw_truncation_sweep

logger = logging.getLogger(__name__)

# What is added to the seed of strips for latents that directions are found on, and tried on.
FOUND_ON, TRIED_ON = 1_000_000, 2_000_000
# Directions of the overview at most, the first ones.
MAX_SHOWN = 64


def find_directions(
    generator: Model,
    class_list: dict[str, Any],
    kept: dict[str, np.ndarray],
    encoder: dict[str, np.ndarray],
    collection_folder: Path,
    params: DirectionsParams,
    evaluate: EvaluateParams,
) -> dict[str, np.ndarray]:
    """Find directions, and add them to those that are kept with the generator.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        class_list: Content of `class_list.json`.
        kept: Content of `directions.npz`; empty without any.
        encoder: Content of `encoder.npz`; empty without any.
        collection_folder: Folder of the collection, which need not exist without labels.
        params: Parameters of directions.
        evaluate: Parameters of evaluation, which name the feature extractor.

    Returns:
        Arrays of all directions, see `ganvas.latents.directions.to_arrays`.

    Raises:
        GanvasError: A parameter doesn't fit the generator, the collection or the kept directions.
    """
    directions = _change_kept(from_arrays(kept, w_shape(generator)), params)
    if params.methods:
        layers = _choose_layers(generator, params)
        rows = _class_rows(class_list)
        samples = sample_w(generator, rows, params.samples, params.seed + FOUND_ON)
        features = _load_features(evaluate)
        found = []
        for method in params.methods:
            if method == "supervised":
                found += find_supervised(
                    generator,
                    samples,
                    layers,
                    directions,
                    features,
                    encoder,
                    collection_folder,
                    params,
                )
            else:
                find = find_components if method == "ganspace" else factorize_weights
                vectors = find(generator, samples, params.count, layers)
                found += [
                    Found(f"{method}_{number}", method, vector, about)
                    for number, (vector, about) in enumerate(vectors, 1)
                ]
        named = _name(found, params)
        probes = make_probes(generator, rows, params.seed + TRIED_ON, features)
        new = [
            _try(probes, samples, direction, params)
            for direction in track(named, "Trying directions")
        ]
        directions = merge_directions(directions, new)
        _log(new)
    return to_arrays(directions)


def _change_kept(kept: list[Direction], params: DirectionsParams) -> list[Direction]:
    """Remove and rename kept directions."""
    names = [direction.name for direction in kept]
    rename = dict(_join_name(*item, names) for item in (params.rename or {}).items())
    for key, wanted in (("remove", params.remove), ("rename", rename)):
        for name in wanted:
            if name not in names:
                has = f"has {', '.join(names)}" if names else "has no directions yet"
                raise GanvasError(
                    f"directions.{key} has '{name}'{suggest_names(name, names)}, but this "
                    f"generator {has}: choose among them."
                )
    left = [direction for direction in kept if direction.name not in params.remove]
    renamed = [
        direction._replace(name=rename.get(direction.name, direction.name)) for direction in left
    ]
    seen: set[str] = set()
    for direction in renamed:
        if direction.name.casefold() in seen:
            raise GanvasError(
                f"directions.rename makes two directions '{direction.name}': choose another name, "
                f"or remove the other one by directions.remove=[{direction.name}]."
            )
        seen.add(direction.name.casefold())
    return renamed


def _join_name(old: str, new: str, names: Collection[str]) -> tuple[str, str]:
    """Return a name and its new one, where a command has split them within the name.

    `directions.rename.genre=night=dark` is read as `{genre: night=dark}`.

    Example:
        >>> _join_name("genre", "night=dark", ["genre=night"])
        ('genre=night', 'dark')
    """
    rest, _, last = new.rpartition("=")
    joined = f"{old}={rest}"
    return (joined, last) if old not in names and joined in names and last else (old, new)


def _choose_layers(generator: Model, params: DirectionsParams) -> Collection[int] | None:
    """Return the layers that directions change; None: all."""
    if params.layers == "all":
        return None
    if not is_style_based(generator):
        raise GanvasError(
            f"directions.layers={params.layers} needs a generator with styles, as of "
            "network.name=stylegan2, and this one has none: leave the parameter out."
        )
    return select_layers(params.layers, w_shape(generator)[0], "directions.layers")


def _class_rows(class_list: dict[str, Any]) -> np.ndarray:
    """Return the weights of each named class, float32 (M, K); (0, 0) without classes."""
    table = read_class_list(class_list)
    return table.weigh(np.arange(len(table.combinations)))


def _load_features(evaluate: EvaluateParams) -> Features | None:
    """Return the function that computes features; None if evaluation has no extractor."""
    if not evaluate.extractor:
        return None
    # TensorFlow takes seconds to import, and Kedro imports this module for every command.
    from ganvas.metrics.feature_extractors import compute_features, load_extractor

    name = evaluate.extractor
    extractor = load_extractor(
        str(resolve_path(name)) if name.endswith(".keras") else name,
        str(resolve_path(evaluate.weights)) if evaluate.weights else None,
    )
    return lambda images: compute_features(extractor, images)


def _name(found: list[Found], params: DirectionsParams) -> list[Found]:
    """Name directions as the user wants."""
    if len(params.names) > len(found):
        raise GanvasError(
            f"directions.names has {len(params.names)} names, but this run finds {len(found)} "
            f"direction{'s' * (len(found) != 1)}: leave some out, or raise directions.count."
        )
    given = dict(enumerate(params.names))
    named, seen = [], set[str]()
    for number, direction in enumerate(found):
        name = given.get(number, direction.name)
        base, copies = name, 1
        while name.casefold() in seen:
            copies += 1
            name = f"{base[:60]}_{copies}"
        seen.add(name.casefold())
        named.append(direction._replace(name=name))
    return named


def _try(
    probes: Probes, samples: LatentSamples, found: Found, params: DirectionsParams
) -> Direction:
    """Find the range and the effect of a direction by images along it."""
    # A file with such a vector could not be read again, with all directions in it.
    if not np.isfinite(found.vector).all() or not found.vector.any():
        raise GanvasError(
            f"'{found.name}' has no direction: its values are too large, or latents don't vary "
            "along it. Choose another column, or rescale its values."
        )
    low, high = find_range(samples, found.vector)
    about = found.about | measure_changes(probes, found.vector)
    about |= {"seed": params.seed, "layers": params.layers}
    effect = float(about.get("feature_distance", about["pixel_distance"]))
    if found.attribute is not None:
        measured = measure_attribute(probes, found.vector, (low, high), found.attribute)
        low, high, effect = measured.low, measured.high, measured.effect
        about |= {"rising": measured.rising, "rising_strengths": measured.strengths}
        about["rising_images"] = len(probes.images)
    return Direction(found.name, found.method, found.vector, low, high, effect, about)


def _log(directions: Sequence[Direction]) -> None:
    for direction in directions:
        about = direction.about
        changes = about["changes"]
        main = sorted(changes, key=lambda name: -abs(changes[name]))[:3]
        parts = [", ".join(f"{name} {changes[name]:+.2f} deviations" for name in main)]
        if "rising" in about:
            parts.insert(
                0,
                f"rises in {about['rising']:.0%} of {about['rising_images']} images, predicted "
                f"with {about['score_name']} {about['score']:.2f}",
            )
        logger.info(
            "%s: strengths %.1f to %.1f; %s.",
            direction.name,
            direction.low,
            direction.high,
            "; strength 1: ".join(parts),
        )


def draw_directions(
    generator: Model,
    class_list: dict[str, Any],
    directions: dict[str, np.ndarray],
    params: DirectionsParams,
) -> tuple[Iterator[tuple[str, np.ndarray]], np.ndarray]:
    """Draw a strip of each direction, images in rows and strengths in columns, and an overview.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        class_list: Content of `class_list.json`.
        directions: Content of `directions.npz`.
        params: Parameters of directions.

    Returns:
        Names and strips, uint8 (H', W', 3); and a table with the first image of each direction,
        without pixels if there are no directions.
    """
    found = from_arrays(directions, w_shape(generator))
    samples = sample_w(generator, _class_rows(class_list), params.rows, params.seed)
    classes = read_class_list(class_list).names
    labels = [classes[number] if classes else "" for number in samples.classes]

    def draw(direction: Direction) -> np.ndarray:
        strengths = spread_strengths(direction.low, direction.high, params.columns)
        images = generate_edits(generator, samples, direction.vector, strengths)
        return draw_truncation_sweep(images, [round(float(x), 1) for x in strengths], labels)

    # Not a generator function: Kedro would save such a node's images one by one.
    strips = ((x.name, draw(x)) for x in track(found, "Drawing strips"))
    return strips, _draw_overview(generator, samples, found[:MAX_SHOWN], params)


def _draw_overview(
    generator: Model,
    samples: LatentSamples,
    directions: Sequence[Direction],
    params: DirectionsParams,
) -> np.ndarray:
    if not directions:
        return np.zeros((0, 0, 3), np.uint8)
    first = samples.first(1)
    rows = []
    for direction in directions:
        strengths = spread_strengths(direction.low, direction.high, params.columns)
        rows.append(generate_edits(generator, first, direction.vector, strengths)[0])
    middle = params.columns // 2
    blocks = {
        "lower strengths": [row[:middle] for row in rows],
        "0": [row[middle : middle + 1] for row in rows],
        "higher strengths": [row[middle + 1 :] for row in rows],
    }
    return draw_rows([direction.name for direction in directions], blocks)
