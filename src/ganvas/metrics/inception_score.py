"""Inception Score (Salimans et al., arXiv 1606.03498), from any classifier's probabilities.

It is high for images that each resemble one class and together cover many classes. It ignores
real images, and is meaningless for collections whose subjects aren't among the classifier's
classes, such as faces. It has its name only with the Inception network.
"""

import numpy as np

from ganvas.errors import GanvasError


def inception_score(probabilities: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """Compute exp(mean KL(p(y|x) ‖ p(y))) on splits of the images.

    Args:
        probabilities: Class probabilities (n, K); each row sums to 1.
        splits: Number of splits of consecutive images, at most n; the paper has 10 of 50,000.

    Returns:
        Mean and standard deviation over the splits, 1 to K. Smaller splits have lower scores.

    Raises:
        GanvasError: There are fewer images than splits.

    Example:
        >>> mean, deviation = inception_score(np.tile(np.eye(5), (20, 1)), splits=4)
        >>> round(mean, 6)
        5.0
    """
    if len(probabilities) < splits:
        raise GanvasError(
            f"{len(probabilities)} images can't be cut into {splits} splits: generate more images, "
            "or use fewer splits."
        )
    scores = []
    for split in np.array_split(np.asarray(probabilities, np.float64), splits):
        # The lower bound avoids log 0, whose factor is 0.
        logs = np.log(np.maximum(split, 1e-300)) - np.log(np.maximum(split.mean(axis=0), 1e-300))
        scores.append(np.exp((split * logs).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))
