"""Combine presets, the folders of conf that `--env=wikiart,gpu` names."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ganvas.errors import GanvasError

# Hyperparameters belong to a network, and published results to the model that they are of.
OF_NETWORK = ("train", "network", "report.published")
# What is measured belongs to the images.
OF_DATA = ("ingest", "evaluate")


class Preset(NamedTuple):
    """A preset of several.

    Attributes:
        name: Name of its folder.
        own: Parameters that its files set, nested.
    """

    name: str
    own: dict[str, Any]


def split_names(env: str, reserved: Sequence[str] = ("base", "local")) -> list[str]:
    """Return the names of presets, the one below all others first.

    Args:
        env: Value of `--env`.
        reserved: Folders that are read with presets anyway, and can only be named alone.

    Raises:
        GanvasError: A name is empty, repeated or reserved.

    Example:
        >>> split_names("wikiart, gpu")
        ['wikiart', 'gpu']
    """
    names = [name.strip() for name in env.split(",")]
    if "" in names:
        raise GanvasError(
            f"--env can't be '{env}', which has an empty name, perhaps because a variable of the "
            "shell is not set: write the names of presets, such as --env=wikiart,gpu."
        )
    for name in names:
        if name in reserved and len(names) > 1:
            others = ",".join(other for other in names if other not in reserved)
            below, above = reserved
            example = f", as in --env={others}" if others else ""
            raise GanvasError(
                f"--env can't be '{env}': conf/{below} lies under all presets and conf/{above} "
                f"over them anyway, so leave '{name}' out{example}."
            )
        if names.count(name) > 1:
            raise GanvasError(
                f"--env can't be '{env}', which has '{name}' twice: leave it where it is to "
                "override the presets before it."
            )
    return names


def find_replaced(presets: Sequence[Preset]) -> tuple[list[set[str]], list[str]]:
    """Return what each preset sets in vain, since a later one has another network or other images.

    Parameters of training are chosen for a network, so those for one aren't mixed with those for
    another. Nor is a source of images with the name, or the folder, of another. A preset that names
    both images and a network replaces earlier ones that do, as with two known systems.

    Args:
        presets: The presets in the order of `--env`.

    Returns:
        The groups of parameters that don't count for each preset, and a sentence for each preset
        that replaces such groups.

    Example:
        >>> artgan = Preset("wikiart", {"network": {"name": "artgan"}, "train": {"epochs": 100}})
        >>> find_replaced([artgan, Preset("gpu", {"network": {"name": "projected"}})])[0]
        [{'network', 'train'}, set()]
    """
    replaced: list[set[str]] = [set() for _ in presets]
    sentences = []
    network: str | None = None
    images: tuple[str, str | None] | None = None
    for number, preset in enumerate(presets):
        groups, reasons = set[str](), []
        new_network = get_value(preset.own, "network.name")
        source = get_value(preset.own, "ingest.source.name")
        new_images = source and (source, get_value(preset.own, "ingest.dataset"))
        if images and new_images and _differ(images, new_images):
            groups |= {*OF_DATA, *(OF_NETWORK if new_network else ())}
            new_name, name = (dataset or source for source, dataset in (new_images, images))
            reasons.append(f"its images are those of {new_name}, not of {name}")
        if network and new_network and network != new_network:
            groups |= set(OF_NETWORK)
            reasons.append(f"its network is {new_network}, not {network}")
        owners, found = [], set[str]()
        for earlier, unused in zip(presets[:number], replaced, strict=False):
            its = {group for group in groups - unused if get_value(earlier.own, group) is not None}
            unused |= its
            found |= its
            owners += [earlier.name] if its else []
        if found:
            # In the order of the parameters of a run.
            names = [group for group in (*OF_DATA, *OF_NETWORK) if group in found]
            sentences.append(
                f"Preset {preset.name} replaces all of {_join(names)} in {_join(owners)}, since "
                f"{_join(reasons)}."
            )
        network = new_network or network
        images = new_images or images
    return replaced, sentences


def _differ(images: tuple[str, str | None], others: tuple[str, str | None]) -> bool:
    """Return whether two sources, with the names of their datasets, are of different images."""
    return images[0] != others[0] or others[1] not in (None, images[1])


def _join(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def get_value(tree: Any, key: str) -> Any:
    """Return the value of a dotted key in nested parameters; None if there is none."""
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def without_keys(tree: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    """Return nested parameters without some groups, which have dotted keys.

    Example:
        >>> without_keys({"train": {"seed": 0}, "report": {"rows": 2, "seed": 0}}, {"report.seed"})
        {'train': {'seed': 0}, 'report': {'rows': 2}}
    """
    kept = {}
    for name, value in tree.items():
        inner = {key.partition(".")[2] for key in keys if key.startswith(f"{name}.")}
        if name not in keys:
            kept[name] = without_keys(value, inner) if inner and isinstance(value, dict) else value
    return kept


def lay_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return nested parameters in which those of `above` override those of `below`.

    Example:
        >>> lay_over({"train": {"epochs": 9, "seed": 0}}, {"train": {"epochs": 3}})
        {'train': {'epochs': 3, 'seed': 0}}
    """
    merged = dict(below)
    for name, value in above.items():
        other = merged.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            merged[name] = lay_over(other, value)
        else:
            merged[name] = value
    return merged
