import numpy as np
import pytest

from ganvas.training.diagnostics import mean_distance, watch_copies, watch_diversity, watch_scores
from ganvas.training.losses import LossParams


def scores(*pairs) -> list[dict]:
    return [
        {"epoch": number + 1, "real_score": real, "fake_score": fake}
        for number, (real, fake) in enumerate(pairs)
    ]


def names(warnings) -> list[str]:
    return [warning.name for warning in warnings]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(0.97, 0.02)] * 5, ["discriminator winning"]),
        ([(0.97, 0.02)] * 4, []),
        ([(0.97, 0.02)] * 4 + [(0.94, 0.02)], []),
        ([(0.97, 0.02)] * 2 + [(0.97, 0.06)] + [(0.97, 0.02)] * 2, []),
        ([(0.6, 0.4)] + [(0.97, 0.02)] * 5, ["discriminator winning"]),
        ([(0.4, 0.6)] * 5, ["discriminator losing"]),
        ([(0.55, 0.6)] * 5, []),
        ([(0.5, 0.5)] * 9, []),
    ],
)
def test_scores_of_the_last_epochs(pairs, expected):
    warnings = watch_scores(scores(*pairs), LossParams(name="non_saturating"))
    assert names(warnings) == expected
    for warning in warnings:
        assert f"{pairs[-1][0]:.2f}" in warning.figure and "train." in warning.advice


@pytest.mark.parametrize(
    ("loss", "pair", "expected"),
    [
        ({"name": "hinge"}, (0.96, 0.04), ["discriminator winning"]),
        # First epochs of a run that went well.
        ({"name": "hinge"}, (0.87, 0.17), []),
        ({"name": "hinge"}, (0.45, 0.55), ["discriminator losing"]),
        ({"label_smoothing": 0.1}, (0.89, 0.02), ["discriminator winning"]),
        ({"label_smoothing": 0.1}, (0.84, 0.02), []),
        ({"label_smoothing": 0.2}, (0.45, 0.55), []),
        ({"label_smoothing": 0.2}, (0.38, 0.42), ["discriminator losing"]),
    ],
)
def test_what_is_sure_follows_from_the_loss(loss, pair, expected):
    assert names(watch_scores(scores(*[pair] * 5), LossParams(**loss))) == expected


@pytest.mark.parametrize("loss", ["wasserstein", "relativistic", "least_squares"])
def test_scores_mean_nothing_where_logits_have_no_zero(loss):
    assert watch_scores(scores(*[(0.99, 0.01)] * 9), LossParams(name=loss)) == []
    assert watch_scores(scores(*[(0.4, 0.6)] * 9), LossParams(name=loss)) == []


def diversity(*shares) -> list[dict]:
    rows = [{"epoch": number + 1} for number in range(len(shares))]
    for row, share in zip(rows, shares, strict=True):
        row |= {} if share is None else {"diversity": share}
    return rows


@pytest.mark.parametrize(
    ("shares", "warned"),
    [
        ([0.1, 0.2], False),
        ([0.1] * 19, False),
        ([0.1] * 20, True),
        ([0.1 + 0.02 * epoch for epoch in range(20)], False),
        ([0.1, 0.9, 0.45], True),
        ([0.1, 0.9, 0.55], False),
        ([0.1, 0.55, 0.45], False),
        ([0.9, 0.4, None], True),
        ([None], False),
    ],
)
def test_diversity_that_is_lost_or_never_comes(shares, warned):
    warnings = watch_diversity(diversity(*shares))
    assert names(warnings) == ["mode collapse"] * warned
    if warned:
        last = [share for share in shares if share is not None][-1]
        assert f"{last:.0%}" in warnings[0].figure and "train." in warnings[0].advice


def test_copies():
    (warning,) = watch_copies([{"epoch": 1, "novelty": 0.3}])
    assert warning.name == "memorizing" and "30%" in warning.figure
    assert watch_copies([{"epoch": 1, "novelty": 0.6}]) == []
    # What the last snapshot has shown stands until the next one.
    assert len(watch_copies([{"epoch": 1, "novelty": 0.3}, {"epoch": 2}])) == 1
    assert watch_copies([{"epoch": 1}]) == []


def test_mean_distance_is_that_of_a_naive_loop():
    images = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3), dtype=np.uint8)
    pairs = [
        np.sqrt(((images[i].astype(float) - images[j]) ** 2).mean())
        for i in range(7)
        for j in range(i)
    ]
    assert mean_distance(images) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert mean_distance(np.stack([images[0]] * 3)) == pytest.approx(0, abs=1e-6)
