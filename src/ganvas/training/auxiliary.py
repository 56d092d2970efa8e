"""Losses beside the adversarial one: of classes that are told, and of images painted again.

Pure functions; float32 scalars, computed in float32 whatever they are given.
"""

from keras import KerasTensor, ops


def softmax_class_loss(logits: KerasTensor, classes: KerasTensor) -> KerasTensor:
    """-log of the asked class's softmax, the mean over the batch.

    Together with the non-saturating loss on logsumexp(logits) it is improved ArtGAN's (Tan et
    al., arXiv 1708.09533), and on its difference to another logit the cross-entropy of K + 1
    classes.

    Args:
        logits: (N, K).
        classes: Rows of weights, (N, K).
    """
    logits, classes = ops.cast(logits, "float32"), ops.cast(classes, "float32")
    return -ops.mean(ops.sum(classes * ops.log_softmax(logits), axis=-1))


def sigmoid_class_loss(logits: KerasTensor, classes: KerasTensor) -> KerasTensor:
    """The sum over classes of binary cross-entropies, the mean over the batch (arXiv 1702.03410).

    Args:
        logits: (N, K).
        classes: Labels in [0, 1], (N, K); of an image that is of no class all 0.
    """
    logits, classes = ops.cast(logits, "float32"), ops.cast(classes, "float32")
    return ops.mean(ops.sum(ops.softplus(logits) - classes * logits, axis=-1))


def reconstruction_loss(painted: KerasTensor, images: KerasTensor) -> KerasTensor:
    """Half the mean squared difference, as in improved ArtGAN (arXiv 1708.09533).

    It is twice the mean squared difference of the same images on the scale [0, 1], which is
    the first ArtGAN's.

    Args:
        painted: (N, H, W, 3).
        images: What they should be, (N, H, W, 3) in [-1, 1].
    """
    difference = ops.cast(painted, "float32") - ops.cast(images, "float32")
    return ops.mean(ops.square(difference)) / 2
