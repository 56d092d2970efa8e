"""Names of feature extractors, and of the metrics that are computed with them."""

from typing import Literal

# Their weights are pip packages, so that no run downloads anything.
PACKAGED: dict[str, Literal["lite0", "lite1", "lite2"]] = {
    "efficientnet_lite0": "lite0",
    "efficientnet_lite1": "lite1",
    "efficientnet_lite2": "lite2",
}
INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"


def check_extractor(name: str) -> str:
    """Return an extractor's name unchanged if it is valid.

    Raises:
        ValueError: The name is unknown.

    Example:
        >>> check_extractor("InceptionV3")
        'InceptionV3'
    """
    known = name in PACKAGED or name == "inception" or name.endswith(".keras")
    if not known and not _is_application(name):
        raise ValueError(
            f"allowed are {', '.join(PACKAGED)}, inception (of FID), a network of "
            "keras.applications, such as InceptionV3, and the path of a saved network, that ends "
            "in .keras"
        )
    return name


def _is_application(name: str) -> bool:
    """Return whether a name is that of a network of keras.applications."""
    if not (name[:1].isupper() and name.isidentifier()):
        return False
    # Keras takes seconds to import, and other names are known without it.
    import keras

    return hasattr(keras.applications, name)


def metric_names(extractor: str) -> tuple[str, str, str]:
    """Return the titles of Fréchet distance, kernel distance and Inception Score.

    Only metrics of the Inception network of 2015-12-05 are called FID, KID and Inception Score.

    Args:
        extractor: A `FeatureExtractor.name`.

    Example:
        >>> metric_names("efficientnet_lite2")[0]
        'FD-efficientnet_lite2'
    """
    if extractor == "inception":
        return "FID", "KID", "Inception Score"
    if extractor == "InceptionV3":
        return "FID-keras", "KID-keras", "IS-keras"
    return f"FD-{extractor}", f"KD-{extractor}", f"IS-{extractor}"


def choose_map_extractor(extractor: str) -> str:
    """Return the network whose feature maps the perceptual path length compares.

    It is the evaluation's, which is never a discriminator's backbone, or where that one's maps are
    not known efficientnet_lite2, which can't be a backbone.

    Args:
        extractor: Name of the evaluation's feature extractor.

    Example:
        >>> choose_map_extractor("efficientnet_lite0"), choose_map_extractor("inception")
        ('efficientnet_lite0', 'efficientnet_lite2')
    """
    return extractor if extractor in PACKAGED else "efficientnet_lite2"
