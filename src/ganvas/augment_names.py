"""What augmentations are called, also in records of earlier versions, and which parameters count.

Before there were ADA's own transforms, `ada` was the name of DiffAugment's operations with ADA's
adaptive probability, which are called adaptive_diffaugment now. Records with that name are told
from later ones by the parameter `set`, which they lack.
"""

from typing import Any

# Parameters of `train.augment` that count for each augmentation, besides its name.
PARAMETERS: dict[str, set[str]] = {
    "none": set(),
    "diffaugment": {"policy"},
    "adaptive_diffaugment": {"policy", "target", "speed", "interval"},
    "ada": {"set", "probability", "target", "speed", "interval"},
}
# Those of them that adapt the probability.
ADAPTIVE = {"target", "speed", "interval"}


def list_used(name: str, probability: float | None = None) -> set[str]:
    """Return which parameters count for an augmentation, besides its name.

    Args:
        name: Its name.
        probability: A constant probability; None: adaptive, or always.

    Example:
        >>> sorted(list_used("ada", probability=0.2))
        ['probability', 'set']
    """
    return PARAMETERS[name] - (ADAPTIVE if probability is not None else set())


def with_present_names(flat: dict[str, Any]) -> dict[str, Any]:
    """Return recorded parameters of any version with the present name of the augmentation.

    Args:
        flat: Parameters with dotted keys, as a run of this or an earlier version recorded them.

    Example:
        >>> with_present_names({"train.augment.name": "ada", "train.augment.policy": ["color"]})
        {'train.augment.name': 'adaptive_diffaugment', 'train.augment.policy': ['color']}
    """
    if flat.get("train.augment.name") == "ada" and "train.augment.set" not in flat:
        return flat | {"train.augment.name": "adaptive_diffaugment"}
    return flat


def keep_used(augment: dict[str, Any]) -> dict[str, Any]:
    """Return those of recorded parameters of an augmentation that count for it, and its name.

    Args:
        augment: The group `train.augment`, as a run of this or an earlier version recorded it.

    Example:
        >>> keep_used({"name": "diffaugment", "policy": ["cutout"], "set": "bgc", "target": 0.6})
        {'name': 'diffaugment', 'policy': ['cutout']}
    """
    name = augment.get("name")
    if name == "ada" and "set" not in augment:
        name = "adaptive_diffaugment"
    if name not in PARAMETERS:
        return augment
    used = list_used(name, augment.get("probability"))
    return {"name": name} | {key: value for key, value in augment.items() if key in used}
