"""Supervised directions recover what was planted, and attributes are read from labels."""

import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.latents.supervised import LinearModel, find_normal, fit_linear, split_attribute

RNG = np.random.default_rng(0)
PLANTED = np.array([0.6, 0.0, -0.8, 0.0])


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


# Axes that vary differently, as those of a latent prior do.
@pytest.mark.parametrize("scales", [np.ones(4), np.array([5.0, 1, 0.5, 2])])
def test_a_planted_direction_is_recovered(scales):
    w = RNG.standard_normal((1000, 4)) * scales
    values = w @ PLANTED + 0.1 * RNG.standard_normal(1000) + 7
    model = fit_linear(w, values, is_binary=False)
    assert cosine(find_normal(model), PLANTED) > 0.999
    np.testing.assert_allclose(model.predict(w[:5]), values[:5], atol=0.5)
    expected = 1 - 0.01 / values.var()
    assert model.score == pytest.approx(expected, abs=0.01) and model.score_name == "R²"


def test_two_values_are_separated():
    w = RNG.standard_normal((1000, 4))
    model = fit_linear(w, (w @ PLANTED > 0).astype(float), is_binary=True)
    assert cosine(find_normal(model), PLANTED) > 0.99
    assert model.score > 0.95 and model.score_name == "balanced accuracy"
    # Higher means the second value.
    assert model.predict(PLANTED[None])[0] > 0 > model.predict(-PLANTED[None])[0]


def test_rare_values_weigh_as_much_as_frequent_ones():
    w = RNG.standard_normal((1000, 4))
    rare = (w @ PLANTED > 1.7).astype(float)
    assert rare.mean() < 0.1
    assert fit_linear(w, rare, is_binary=True).score > 0.85


def test_chance_is_reported_as_chance():
    w = RNG.standard_normal((500, 4))
    number = fit_linear(w, RNG.standard_normal(500), is_binary=False)
    assert number.score < 0.05 and not number.is_useful
    binary = fit_linear(w, RNG.integers(0, 2, 500).astype(float), is_binary=True)
    assert binary.score == pytest.approx(0.5, abs=0.08) and not binary.is_useful


def test_a_direction_follows_no_other_one():
    model = LinearModel(PLANTED, 0.0, 1.0, False)
    others = [np.array([1.0, 0, 0, 0]), np.array([1.0, 1, 0, 0]), np.array([2.0, 0, 0, 0])]
    normal = find_normal(model, others)
    np.testing.assert_allclose(normal, [0, 0, -1, 0], atol=1e-9)
    with pytest.raises(GanvasError, match="alone"):
        find_normal(model, [PLANTED])
    with pytest.raises(GanvasError, match="the same for all images"):
        find_normal(LinearModel(np.zeros(4), 0.0, 0.0, False))


def test_an_axis_without_variance_is_ignored():
    w = RNG.standard_normal((300, 4))
    w[:, 1] = 3
    model = fit_linear(w, w @ PLANTED, is_binary=False)
    assert model.coefficients[1] == 0 and np.isfinite(model.coefficients).all()


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["yes", "no", ""] * 10, ["Smiling"]),
        (["1", "-1"] * 10, ["Smiling"]),
        (["True", "False"] * 10, ["Smiling"]),
        (["female", "male"] * 10, ["Smiling=male"]),
        (["1871", "1900.5", "1920"] * 10, ["Smiling"]),
        (["a", "b", "c"] * 10 + ["d"], ["Smiling=a", "Smiling=b", "Smiling=c"]),
    ],
)
def test_attributes_of_a_column(texts, names):
    attributes = split_attribute("Smiling", texts)
    assert [x.name for x in attributes] == names
    first = attributes[0]
    assert np.isnan(first.values).sum() == texts.count("")
    assert first.is_binary == (texts[0] != "1871")
    if first.is_binary and names == ["Smiling"]:
        assert (first.values == 1).sum() == 10 and first.values[0] == 1


@pytest.mark.parametrize(
    ("values", "name"),
    [("mf", "sex=m"), ("xy", "sex=y"), ("12", "sex=2"), (["9", "10"], "sex=10"), ("yn", "sex")],
)
def test_only_answers_are_called_like_the_column(values, name):
    (attribute,) = split_attribute("sex", [*values] * 10)
    assert attribute.name == name


def test_of_many_values_the_most_frequent_are_used():
    texts = [f"v{number:02}" for number in range(40) for _ in range(50 - number)]
    assert [x.name for x in split_attribute("genre", texts)] == [
        f"genre=v{x:02}" for x in range(16)
    ]


@pytest.mark.parametrize("texts", [[], [""] * 50, ["a"] * 50, ["a"] * 50 + ["b"] * 9, ["1", "2"]])
def test_too_few_images_are_refused(texts):
    with pytest.raises(GanvasError, match="'genre' has too few images"):
        split_attribute("genre", texts)
