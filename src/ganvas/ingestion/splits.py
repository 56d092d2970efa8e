"""Divide the images of a collection into training, validation and test images."""

import numpy as np
import pandas as pd

# Validation images that a collection has at least, since metrics compare with them.
MIN_VALIDATION = 2


def choose_split(hashes: pd.Series, validation_share: float, test_share: float) -> np.ndarray:
    """Choose splits by content, so that images keep theirs when others are added.

    Args:
        hashes: Hexadecimal hashes of the files.
        validation_share: From 0 to 1.
        test_share: From 0 to 1. Each share leaves the other split unchanged.

    Returns:
        train, validation or test for each hash.

    Example:
        >>> choose_split(pd.Series(["0" * 32, "7" * 32, "f" * 32]), 0.1, 0.1).tolist()
        ['validation', 'train', 'test']
    """
    position = _positions(hashes)
    # Taken from both ends, so that neither share moves images of the other split.
    conditions = [position < validation_share, position >= 1 - test_share]
    return np.select(conditions, ["validation", "test"], "train")


def _positions(hashes: pd.Series) -> pd.Series:
    """Return the positions of hashes from 0 to 1, by their first 8 digits."""
    return hashes.str[:8].map(lambda text: int(text, 16) / 16**8)


def keep_groups_together(
    splits: np.ndarray, hashes: pd.Series, groups: np.ndarray, validation_share: float
) -> np.ndarray:
    """Move the images of each group to one split, that of one of them.

    Otherwise a generator is trained on nearly the images that it is compared with. A group that
    is larger than half of the validation split goes to training.

    Args:
        splits: Split of each image, shape (N,).
        hashes: Hash of each file; decides which image the others follow.
        groups: Group of each image, int64 of shape (N,), as `group_near_duplicates` returns it.
        validation_share: Share of images in the validation split.

    Returns:
        The splits; those of images without a group of several are unchanged.

    Example:
        >>> hashes = pd.Series(["0" * 32, "9" * 32, "7" * 32])
        >>> splits = np.array(["validation", "train", "train"])
        >>> keep_groups_together(splits, hashes, np.array([0, 0, 2]), 0.1).tolist()
        ['validation', 'validation', 'train']
    """
    table = pd.DataFrame({"split": splits, "group": groups, "hash": hashes.to_numpy()})
    table = table[in_several_splits(splits, groups)]
    # Other digits than those that choose the split, so that no split is preferred.
    ordered = table.assign(order=table["hash"].str[8:]).sort_values("order")
    leader = ordered.drop_duplicates("group").set_index("group")["split"]
    sizes = table["group"].value_counts()
    leader[sizes[sizes > max(2, validation_share * len(splits) / 2)].index] = "train"
    kept = splits.copy()
    kept[table.index] = table["group"].map(leader)
    return kept


def in_several_splits(splits: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return whether the images of each image's group are in several splits, shape (N,)."""
    return (pd.Series(splits).groupby(groups).transform("nunique") > 1).to_numpy()


def keep_validation(
    splits: np.ndarray, hashes: pd.Series, groups: np.ndarray, validation_share: float
) -> np.ndarray:
    """Move two training images to an empty validation split that should have one at least.

    They are those that a larger share would move first, together with their groups. A small
    collection would otherwise have none by chance, and no metrics that compare with them.

    Args:
        splits: Split of each image, shape (N,).
        hashes: Hash of each file.
        groups: Group of each image.
        validation_share: Share of images in the validation split.

    Returns:
        The splits; unchanged if there are validation images, or less than one is expected.
    """
    if (splits == "validation").any() or validation_share * len(splits) < 1:
        return splits
    kept = splits.copy()
    sizes = np.bincount(groups, minlength=len(groups))
    for position in np.argsort(_positions(hashes).to_numpy(), kind="stable"):
        if (kept == "validation").sum() >= MIN_VALIDATION:
            break
        # A group that holds most images is needed for training.
        if kept[position] == "train" and sizes[groups[position]] <= len(splits) / 4:
            kept[groups == groups[position]] = "validation"
    return kept
