"""Supervised directions: along which an attribute changes (InterFaceGAN, arXiv 1907.10786).

A linear model of intermediate latents w predicts the attribute: a logistic regression of two
values, a ridge regression of numbers. Its normal is the direction. Among all directions on which
the prediction depends alike, the normal is the one that changes w least, so other properties stay
as they are rather than those that merely occur together with the attribute.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ganvas.errors import GanvasError

# Folds of cross-validation, and images that a value needs for them.
FOLDS, MIN_IMAGES = 5, 10
# Values of a column of more than two that get a direction each, the most frequent ones.
MAX_VALUES = 16
# Strengths of regularization that cross-validation chooses among.
ALPHAS = np.logspace(-2, 5, 15)
INVERSE_STRENGTHS = np.logspace(-3, 0, 4)
# Pairs of values of which the direction leads to the first, and is called like the column alone.
ANSWERS = {("yes", "no"), ("true", "false"), ("1", "0"), ("1", "-1"), ("y", "n"), ("t", "f")}


class Attribute(NamedTuple):
    """What a direction is to change.

    Attributes:
        name: Name of the column or, with several values, the column and the value.
        values: Number of each image, float64 (N,): of two values 0 or 1, NaN where unknown.
        is_binary: Whether it has two values.
    """

    name: str
    values: np.ndarray
    is_binary: bool


class LinearModel(NamedTuple):
    """A linear model of vectors (N, D).

    Attributes:
        coefficients: float64 (D,).
        offset: The prediction is `x @ coefficients + offset`: of two values the logit.
        score: Cross-validated balanced accuracy, or the share of variance R² of numbers.
        is_binary: Whether it is a logistic regression.
    """

    coefficients: np.ndarray
    offset: float
    score: float
    is_binary: bool

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Return logits or numbers, float64 (N,)."""
        return np.asarray(vectors, np.float64) @ self.coefficients + self.offset

    @property
    def score_name(self) -> str:
        """What `score` is."""
        return "balanced accuracy" if self.is_binary else "R²"

    @property
    def is_useful(self) -> bool:
        """Whether it predicts clearly better than a constant."""
        return self.score > (0.6 if self.is_binary else 0.1)


def split_attribute(column: str, texts: Sequence[str] | np.ndarray) -> list[Attribute]:
    """Return the attributes of a label column.

    Numbers of more than two values are one attribute, and so are two values; of several values each
    is one, against all others.

    Args:
        column: Name of the column.
        texts: Value of each image; empty where unknown.

    Raises:
        GanvasError: There are too few images of any value.

    Example:
        >>> values = ["yes", "no"] * 10
        >>> [x.name for x in split_attribute("Smiling", values)]
        ['Smiling']
        >>> [x.name for x in split_attribute("genre", ["sea", "night", "town"] * 10)]
        ['genre=night', 'genre=sea', 'genre=town']
    """
    labels = pd.Series(list(texts), dtype="str").fillna("").str.strip()
    is_known = (labels != "").to_numpy()
    known = labels[is_known]
    numbers = pd.to_numeric(known, errors="coerce").to_numpy(np.float64)
    if len(known) >= 2 * MIN_IMAGES and np.isfinite(numbers).all() and known.nunique() > 2:
        values = np.full(len(labels), np.nan)
        values[is_known] = numbers
        return [Attribute(column, values, is_binary=False)]
    counts = known.value_counts()
    names = list(counts[counts >= MIN_IMAGES].index[:MAX_VALUES])
    names = [name for name in sorted(names) if len(known) - counts[name] >= MIN_IMAGES]
    if not names:
        found = ", ".join(f"{name}: {count}" for name, count in counts[:5].items()) or "none"
        raise GanvasError(
            f"The label '{column}' has too few images of different values ({found}): a direction "
            f"needs {MIN_IMAGES} of a value and {MIN_IMAGES} of others, so choose another column, "
            "or label more images."
        )
    positive = _find_positive(list(counts.index)) if counts.size == 2 else None
    if counts.size == 2:
        names = [positive or max(names, key=_by_size)]
    attributes = []
    for name in names:
        values = np.where(is_known, (labels == name).to_numpy(np.float64), np.nan)
        title = column if name == positive else f"{column}={name}"
        attributes.append(Attribute(title, values, True))
    return attributes


def _find_positive(names: Sequence[str]) -> str | None:
    """Return which of two values means yes; None if the other one doesn't mean no."""
    for yes, no in (names, names[::-1]):
        if (yes.casefold(), no.casefold()) in ANSWERS:
            return yes
    return None


def _by_size(text: str) -> tuple[float, str]:
    """Return a key that sorts numbers by size, and other texts as they are."""
    number = pd.to_numeric(text, errors="coerce")
    return (0.0 if pd.isna(number) else float(number)), text


def fit_linear(vectors: np.ndarray, values: np.ndarray, is_binary: bool) -> LinearModel:
    """Fit a linear model, with the regularization that cross-validation finds best.

    Args:
        vectors: (N, D).
        values: (N,), of two values 0 and 1.
        is_binary: Whether to fit a logistic regression, in which both values weigh alike.

    Example:
        >>> vectors = np.random.default_rng(0).standard_normal((200, 3))
        >>> model = fit_linear(vectors, vectors[:, 0] * 2 + 1, is_binary=False)
        >>> model.coefficients.round(1).tolist(), round(model.score, 2)
        ([2.0, 0.0, 0.0], 1.0)
    """
    # Takes a second to import.
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.model_selection import (
        GridSearchCV,
        KFold,
        StratifiedKFold,
        cross_val_predict,
        cross_val_score,
    )

    vectors = np.asarray(vectors, np.float64)
    means, deviations = vectors.mean(axis=0), vectors.std(axis=0)
    # Axes without variance, up to rounding, say nothing.
    varies = deviations > 1e-6 * max(deviations.max(), 1e-300)
    deviations = np.where(varies, deviations, 1.0)
    standardized = np.where(varies, (vectors - means) / deviations, 0.0)
    if is_binary:
        values = values.astype(int)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        logistic = LogisticRegression(class_weight="balanced", max_iter=1000)
        grid = {"C": INVERSE_STRENGTHS}
        search = GridSearchCV(logistic, grid, scoring="balanced_accuracy", cv=folds)
        fitted = search.fit(standardized, values).best_estimator_
        other_folds = StratifiedKFold(FOLDS, shuffle=True, random_state=1)
        # On other folds than those that have chosen the regularization.
        score = cross_val_score(
            fitted, standardized, values, scoring="balanced_accuracy", cv=other_folds
        ).mean()
        slopes, offset = fitted.coef_[0], float(fitted.intercept_[0])
    else:
        spread = values.std() or 1.0
        targets = (values - values.mean()) / spread
        ridge = RidgeCV(ALPHAS)
        folds = KFold(FOLDS, shuffle=True, random_state=1)
        predicted = cross_val_predict(ridge, standardized, targets, cv=folds)
        score = 1 - np.square(predicted - targets).sum() / max(np.square(targets).sum(), 1e-300)
        fitted = ridge.fit(standardized, targets)
        slopes = fitted.coef_ * spread
        offset = float(fitted.intercept_ * spread + values.mean())
    coefficients = np.where(varies, slopes / deviations, 0.0)
    return LinearModel(coefficients, float(offset - means @ coefficients), float(score), is_binary)


def find_normal(model: LinearModel, others: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Return the unit normal of a linear model, without its parts along other directions.

    Args:
        model: A model of w.
        others: Directions (D,) that must not be followed: the paper's conditional manipulation.

    Returns:
        float64 (D,).

    Raises:
        GanvasError: Nothing is left of it.

    Example:
        >>> model = LinearModel(np.array([3.0, 4.0]), 0.0, 1.0, False)
        >>> find_normal(model, [np.array([1.0, 0.0])]).tolist()
        [0.0, 1.0]
    """
    normal = np.asarray(model.coefficients, np.float64)
    length = np.linalg.norm(normal)
    if len(others):
        # An orthonormal basis of the others, which need not be independent of each other.
        _, sizes, basis = np.linalg.svd(np.stack(others).astype(np.float64), full_matrices=False)
        basis = basis[sizes > 1e-6 * sizes[0]]
        normal = normal - basis.T @ (basis @ normal)
    if not length or np.linalg.norm(normal) < 1e-4 * length:
        reasons = "it is the same for all images", "it is made of directions.orthogonal_to"
        why = reasons[bool(length)]
        raise GanvasError(
            f"No direction changes this attribute alone ({why}): choose others, or another one."
        )
    return normal / np.linalg.norm(normal)
