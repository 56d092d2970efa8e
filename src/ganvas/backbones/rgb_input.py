"""Images of any number of channels as RGB, for backbones that were trained on RGB.

Only Keras's own layers and operations, so that saved discriminators load in safe mode.
"""

from keras import KerasTensor, layers, ops

# Deviation of backgrounds before they are clipped to [-1, 1]: a third of them is at either end.
BACKGROUND_DEVIATION = 1.0


def to_rgb(images: KerasTensor) -> KerasTensor:
    """Repeat the level of gray images, and composite transparent ones on a color.

    In training each image has a random color of its own as background. On a fixed one, images of
    the same look with another alpha, such as a white wall and a hole before white, would be equal
    for the backbone. Otherwise the background is mid-gray, so that results are reproducible.

    Args:
        images: (N, H, W, C) in [-1, 1] with C = 1, 3 or 4, the last with straight alpha.

    Returns:
        (N, H, W, 3) in [-1, 1]; images of three channels as they are.

    Example:
        >>> to_rgb(keras.Input((64, 64, 1))).shape
        (None, 64, 64, 3)
    """
    channels = images.shape[-1]
    if channels == 1:
        return layers.Concatenate()([images] * 3)
    if channels == 3:
        return images
    color, alpha = images[..., :3], 0.5 * images[..., 3:] + 0.5
    gray = ops.zeros_like(images[:, :1, :1, :3])
    noise = layers.GaussianNoise(BACKGROUND_DEVIATION, dtype="float32", name="background")(gray)
    background = ops.clip(noise, -1.0, 1.0)
    return background + alpha * (color - background)
