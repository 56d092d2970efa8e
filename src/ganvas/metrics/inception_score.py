"""Inception Score (Salimans et al., arXiv 1606.03498), from any classifier's probabilities.

It rewards images that each look like one class and that together show many. It never looks at
real images of the collection, and says nothing of collections whose subjects aren't among the
classifier's classes, such as faces. It has its name only with the Inception network.
"""

import numpy as np

from ganvas.errors import GanvasError


def inception_score(probabilities: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """Compute exp(mean KL(p(y|x) ‖ p(y))) on parts of the images.

    Args:
        probabilities: Of K classes, (n, K), rows that sum to 1.
        splits: Parts of consecutive images, at most n; 10 in the paper, with n = 50,000.

    Returns:
        Mean and standard deviation over the parts, 1 to K. Smaller parts give smaller scores.

    Raises:
        GanvasError: There are fewer images than parts.
    """
    if len(probabilities) < splits:
        raise GanvasError(
            f"{len(probabilities)} images can't be cut into {splits} parts: generate more, or "
            "take fewer parts."
        )
    scores = []
    for part in np.array_split(np.asarray(probabilities, np.float64), splits):
        # log 0 stands beside a factor of 0.
        logs = np.log(np.maximum(part, 1e-300)) - np.log(np.maximum(part.mean(axis=0), 1e-300))
        scores.append(np.exp((part * logs).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))
