from itertools import combinations

import numpy as np
import pytest

from ganvas.metrics.class_diversity import (
    MIN_IMAGES,
    class_distances,
    class_diversity,
    class_nearest_distances,
    cluster_distances,
    coarse_colors,
    count_clusters,
    count_common,
    fit_clusters,
    halve_classes,
    name_classes,
)
from ganvas.metrics.pairwise import (
    mean_image_distance,
    mean_nearest_distance,
    mean_pairwise_distance,
)


def naive_diversity(generated, labels, real, real_labels):
    """Compute the ratio of the mean distances of all pairs, class by class."""

    def distance(vectors):
        return np.mean([np.linalg.norm(a - b) for a, b in combinations(vectors, 2)])

    values = {}
    for label in set(labels.tolist()) & set(real_labels.tolist()) - {-1}:
        ours, theirs = generated[labels == label], real[real_labels == label]
        if min(len(ours), len(theirs)) >= MIN_IMAGES:
            values[label] = distance(ours) / distance(theirs)
    return values


def make_side(rng, counts, scale):
    """Features around a center per class; the first of a class lack a label."""
    labels = np.repeat(np.arange(len(counts)), counts)
    vectors = 20 * labels[:, None] + scale[labels][:, None] * rng.normal(size=(len(labels), 5))
    order = rng.permutation(len(labels))
    return vectors[order].astype(np.float32), np.where(rng.random(len(order)) < 0.1, -1, labels)[
        order
    ]


def test_diversity_is_that_of_a_naive_loop_over_pairs():
    rng = np.random.default_rng(0)
    real = make_side(rng, [30, 12, 40, 5, 0, 20], np.ones(6))
    ours = make_side(rng, [20, 40, 5, 30, 20, 15], np.array([1, 0.4, 1, 1, 1, 0.01]))
    distances = [class_distances(*side, mean_pairwise_distance) for side in (ours, real)]
    values = class_diversity(*distances)
    assert set(values) == {0, 1, 5}
    assert values == pytest.approx(naive_diversity(*ours, *real), rel=1e-5)
    assert values[5] < 0.05 < values[1] < 0.6 < values[0]


def test_pixels_and_features_have_the_same_ratio_for_the_same_vectors():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    labels = np.arange(60) % 3
    for measure, vectors in (
        (mean_image_distance, images),
        (mean_pairwise_distance, images.reshape(60, -1)),
    ):
        distances = class_distances(vectors, labels, measure)
        halves = [class_distances(vectors, half, measure) for half in halve_classes(labels)]
        values = class_diversity(*halves) | {3: distances[0] / distances[1]}
        if measure is mean_image_distance:
            expected = values
    assert values == pytest.approx(expected, rel=1e-6)


def test_equal_real_images_and_single_images_leave_their_class_out():
    vectors, labels = np.array([[1.0], [1.0], [2.0], [5.0], [9.0]]), np.array([0, 0, 1, 1, 2])
    distances = class_distances(vectors, labels, mean_pairwise_distance, least=0)
    assert distances == {0: 0.0, 1: 3.0}
    assert class_diversity(distances, distances) == {1: 1.0}


def test_the_nearest_is_compared_among_equally_many_images_of_a_class():
    rng = np.random.default_rng(0)
    real, real_labels = make_side(rng, [34, 12, 40, 5, 0], np.ones(5))
    ours, labels = make_side(rng, [16, 40, 5, 30, 20], np.array([1, 0.1, 1, 1, 1]))
    sizes = count_common(labels, real_labels)
    counts = [min((side == c).sum() for side in (labels, real_labels)) for c in (0, 1)]
    assert sizes == dict(enumerate(counts)) and min(counts) >= MIN_IMAGES
    distances = [
        class_nearest_distances(*side, sizes, mean_nearest_distance)
        for side in ((ours, labels), (real, real_labels))
    ]

    def naive(vectors, size):
        nearest = []
        for start in range(0, len(vectors) // size * size, size):
            part = vectors[start : start + size]
            lengths = np.linalg.norm(part[:, None] - part, axis=2) + np.diag([np.inf] * size)
            nearest.append(lengths.min(axis=1).mean())
        return np.mean(nearest)

    for label, size in sizes.items():
        assert distances[0][label] == pytest.approx(naive(ours[labels == label], size), rel=1e-4)
        assert distances[1][label] == pytest.approx(
            naive(real[real_labels == label], size), rel=1e-4
        )
    shares = class_diversity(*distances)
    assert shares[0] == pytest.approx(1, abs=0.25) and shares[1] == pytest.approx(0.1, abs=0.03)


def test_images_are_counted_up_to_a_limit_and_without_those_of_no_class():
    labels = np.repeat([-1, 0, 1, 2, 3], [40, 200, 70, 20, 7])
    assert count_common(labels, labels) == {0: 64, 1: 64, 2: 20}
    assert count_common(labels, labels[:270], most=MIN_IMAGES) == {0: 8, 1: 8}


def test_values_of_several_label_columns_are_compared_like_classes():
    rng = np.random.default_rng(0)
    vectors, labels = (
        rng.normal(size=(40, 3)),
        np.stack([np.arange(40) % 2, 2 + (np.arange(40) > 9)]),
    )
    columns = labels.T
    sizes = count_common(columns, columns)
    assert sizes == {0: 20, 1: 20, 2: 10, 3: 30}
    found = class_nearest_distances(vectors, columns, sizes, mean_nearest_distance)
    assert found == {
        number: mean_nearest_distance(vectors[labels[number // 2] == number], size)
        for number, size in sizes.items()
    }


@pytest.mark.parametrize("count", [1, 2, 8])
def test_repeated_images_keep_their_diversity_but_not_their_distance(count):
    rng = np.random.default_rng(0)
    real = rng.normal(size=(64, 4096))
    ours = np.tile(rng.normal(size=(count, 4096)), (64 // count, 1))
    labels = np.zeros(64, int)
    diversity = class_diversity(
        *(class_distances(side, labels, mean_pairwise_distance) for side in (ours, real))
    )
    # All distances are about equal in 4,096 dimensions; of the 63 others, 64 / k - 1 are copies.
    assert diversity[0] == pytest.approx((64 - 64 / count) / 63, rel=0.02)
    nearest = class_diversity(
        *(
            class_nearest_distances(side, labels, {0: 64}, mean_nearest_distance)
            for side in (ours, real)
        )
    )
    assert nearest == {0: 0.0}


def test_a_missed_cluster_has_no_diversity_and_a_rare_one_is_left_out():
    rng = np.random.default_rng(0)
    centers = 30 * rng.normal(size=(3, 6))
    real_labels = np.repeat([0, 1, 2], [60, 36, 4])
    real = centers[real_labels] + rng.normal(size=(100, 6))
    clusters = fit_clusters(real.astype(np.float32), 3, seed=0)
    # All generated images are like those of the first group, but one.
    ours = centers[[0] * 99 + [1]] + rng.normal(size=(100, 6))
    labels = clusters.predict(ours.astype(np.float32))
    distances = cluster_distances(ours, labels, clusters.labels_, mean_pairwise_distance)
    first, second = clusters.labels_[0], clusters.labels_[60]
    assert distances == {
        first: pytest.approx(mean_pairwise_distance(ours[:99])),
        second: 0.0,
    }
    values = class_diversity(
        distances, class_distances(real, clusters.labels_, mean_pairwise_distance)
    )
    assert values[first] == pytest.approx(1, abs=0.1) and values[second] == 0


@pytest.mark.parametrize(
    ("generated", "real", "clusters"),
    [
        (500, 1000, 10),
        (10_000, 10_000, 10),
        (500, 100, 3),
        (500, 40, 1),
        (32, 512, 2),
        (15, 512, 1),
    ],
)
def test_training_and_evaluation_count_clusters_by_one_rule(generated, real, clusters):
    assert count_clusters(generated, real) == clusters


def test_the_halves_of_a_class_differ_by_one_image_at_most():
    labels = np.random.default_rng(0).integers(-1, 4, 50)
    first, second = halve_classes(labels)
    np.testing.assert_array_equal(np.maximum(first, second), labels)
    assert (np.minimum(first, second) == -1).all()
    for label in range(4):
        assert (second == label).sum() - (first == label).sum() in (0, 1)


def test_coarse_colors_are_means_of_blocks():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 16, 3), dtype=np.uint8)
    means = images.reshape(3, 8, 4, 8, 2, 3).mean(axis=(2, 4)).reshape(3, -1)
    np.testing.assert_allclose(coarse_colors(images), means, atol=1)


def test_names_are_in_the_order_of_their_values():
    assert list(name_classes({0: 0.9, 1: 0.3, 3: 0.5}, "abcd").items()) == [
        ("b", 0.3),
        ("d", 0.5),
        ("a", 0.9),
    ]
