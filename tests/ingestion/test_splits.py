"""Training, validation and test images."""

import numpy as np
import pandas as pd
import pytest

from ganvas.ingestion.splits import choose_split, keep_groups_together, keep_validation


def random_hashes(count: int, seed: int = 0) -> pd.Series:
    rng = np.random.default_rng(seed)
    return pd.Series([rng.bytes(16).hex() for _ in range(count)])


def test_shares_of_splits_are_met_and_independent():
    rng = np.random.default_rng(0)
    hashes = pd.Series([rng.bytes(16).hex() for _ in range(20_000)])
    splits = pd.Series(choose_split(hashes, validation_share=0.1, test_share=0.2))
    assert splits.value_counts(normalize=True).to_dict() == pytest.approx(
        {"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.01
    )
    without = pd.Series(choose_split(hashes, validation_share=0.1, test_share=0.0))
    assert ((splits == "validation") == (without == "validation")).all()
    assert not (without == "test").any()


def test_the_split_of_a_hash_never_changes():
    # A tenth and four fifths of 16⁸ lie between these.
    ends = {"00000000": "validation", "19999999": "validation", "1999999a": "train"}
    ends |= {"cccccccc": "train", "cccccccd": "test", "ffffffff": "test"}
    hashes = pd.Series([begin + "7" * 24 for begin in ends])
    assert choose_split(hashes, 0.1, 0.2).tolist() == list(ends.values())


def test_without_groups_every_image_keeps_its_split():
    hashes = random_hashes(1000)
    splits = choose_split(hashes, 0.1, 0.05)
    alone = np.arange(1000)
    assert (keep_groups_together(splits, hashes, alone, 0.1) == splits).all()
    assert (keep_validation(splits, hashes, alone, 0.1) == splits).all()


def test_groups_are_in_one_split_and_shares_stay():
    hashes = random_hashes(9000)
    splits = choose_split(hashes, 0.1, 0.1)
    groups = np.arange(9000) // 3 * 3
    groups[6000:] = np.arange(6000, 9000)
    kept = keep_groups_together(splits, hashes, groups, 0.1)
    assert (pd.Series(kept).groupby(groups).nunique() == 1).all()
    assert (kept[6000:] == splits[6000:]).all()
    same = pd.Series(splits).groupby(groups).transform("nunique") == 1
    assert (kept[same] == splits[same]).all()
    shares = pd.Series(kept[:6000]).value_counts(normalize=True).to_dict()
    assert shares == pytest.approx({"train": 0.8, "validation": 0.1, "test": 0.1}, abs=0.03)


def test_a_large_group_is_trained_on():
    hashes = random_hashes(100)
    for seed in range(5):
        groups = np.arange(100)
        groups[:60] = 0
        splits = choose_split(random_hashes(100, seed), 0.1, 0.1)
        assert set(keep_groups_together(splits, hashes, groups, 0.1)[:60]) == {"train"}


def test_a_small_collection_has_validation_images():
    count = 12
    found = 0
    for seed in range(30):
        hashes = random_hashes(count, seed)
        splits = choose_split(hashes, 0.1, 0.05)
        kept = keep_validation(splits, hashes, np.arange(count), 0.1)
        if (splits == "validation").any():
            assert (kept == splits).all()
        else:
            found += 1
            moved = kept == "validation"
            assert moved.sum() == 2 and (kept[~moved] == splits[~moved]).all()
            # They are those that come first with a larger share.
            larger = choose_split(hashes, float(np.sort(hashes.map(to_share))[1]) + 1e-9, 0.0)
            assert ((larger == "validation") == moved).all()
    assert found


def to_share(text: str) -> float:
    return int(text[:8], 16) / 16**8


@pytest.mark.parametrize(("share", "count"), [(0.0, 100), (0.1, 9)])
def test_no_validation_image_is_added_where_none_is_expected(share, count):
    hashes = pd.Series([f"{number + 0x90000000:08x}{number:024x}" for number in range(count)])
    splits = choose_split(hashes, share, 0.0)
    kept = keep_validation(splits, hashes, np.arange(count), share)
    assert set(kept) == {"train"}


def test_copies_move_to_validation_together():
    hashes = pd.Series([f"{number + 0x90000000:08x}{number:024x}" for number in range(20)])
    groups = np.arange(20)
    groups[7] = 0
    kept = keep_validation(choose_split(hashes, 0.1, 0.0), hashes, groups, 0.1)
    assert np.flatnonzero(kept == "validation").tolist() == [0, 7]
