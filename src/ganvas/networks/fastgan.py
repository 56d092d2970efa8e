"""FastGAN: skip-layer excitation for training on few images (Liu et al., arXiv 2101.04775).

The generator doubles its feature maps by convolutions with gated linear units. Skip-layer
excitation scales the channels of large maps by small ones, 16 times smaller in side, so that the
path from the latent to fine detail is short. Kernels have spectral norm, in the generator too.

Sizes and widths are those of the authors' code, odegeasslbc/FastGAN-pytorch, which builds networks
for 256, 512 and 1024 pixels. Here the layers of larger maps are left out for smaller images, and
the first map has the sides of `ganvas.image_shape.smallest_map`, 4×4 for squares of a power of two.
Other differences to that code:

- Noise is injected in training only, so that a latent always generates the same image.
- Images pass through tanh at every size; there at 1024 pixels only.
- Spectral normalization is Keras's layer, which divides the kernels at each training step, without
  a gradient through the singular value.
- With classes, a class embedding is concatenated to the latent, and batch norms are conditional;
  the code has no classes.
"""

import keras
from keras import KerasTensor, layers, ops

from ganvas.image_shape import count_doublings, smallest_map
from ganvas.networks.conditioning import class_embedding, class_norm

# Channels of the generator's maps by their side, as multiples of its width.
GENERATOR_WIDTHS = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 1 / 2, 512: 1 / 4, 1024: 1 / 8}
# A map excites the one that is doubled this many times more; only the first maps do.
EXCITED_AFTER, EXCITING_MAPS = 4, 4


def build_fastgan_generator(
    image_shape: tuple[int, int, int],
    latent: int,
    width: int,
    classes: int = 0,
    *,
    max_width: int | None = None,
    embedding_width: int = 64,
    comp_every: int = 2,
    unit_latents: bool = False,
) -> keras.Model:
    """Build FastGAN's generator, or with other options the one of Projected GAN's code.

    Args:
        image_shape: (H, W, channels), which `ganvas.image_shape.can_train`.
        latent: Length Z of a latent.
        width: Channels at 128 pixels; 16 times as many at 4, an eighth at 1024.
        classes: Number of classes K; 0 for an unconditional generator.
        max_width: The most channels of a map; None for no limit.
        embedding_width: Length of the class embedding beside the latent.
        comp_every: Every so many doublings has a second convolution, and noise after both: 2 in
            FastGAN, 1 in Projected GAN's code.
        unit_latents: Whether to scale latents to length √Z, as Projected GAN's code does.

    Returns:
        Latents (N, Z), and with classes labels (N, K), to images (N, H, W, channels) in [-1, 1].

    Example:
        >>> generator = build_fastgan_generator((64, 64, 3), latent=256, width=8)
        >>> generator(keras.ops.zeros((2, 256))).shape
        TensorShape([2, 64, 64, 3])
    """
    latents = keras.Input((latent,), name="latent")
    labels = keras.Input((classes,), name="classes") if classes else None
    code = latents
    if unit_latents:
        code = layers.Rescaling(latent**0.5)(layers.UnitNormalization()(code))
    if labels is not None:
        # On the latent's scale, N(0, 1).
        standard = keras.initializers.RandomNormal(stddev=1.0)
        embedding = class_embedding(embedding_width, standard, name="class_embedding")
        code = layers.Concatenate()([code, embedding(labels)])

    height, width_in_pixels, channels = image_shape
    first = smallest_map(height, width_in_pixels)
    limit = max_width or 16 * width
    widths = [
        max(min(int(multiple * width), limit), 1)
        for multiple in _multiples(GENERATOR_WIDTHS, height, width_in_pixels)
    ]
    maps = [_first_map(code, first, widths[0], labels)]
    for depth, map_width in enumerate(widths[1:], start=1):
        x = _double(maps[-1], map_width, labels, is_comp=(depth - 1) % comp_every == 0)
        source = depth - EXCITED_AFTER
        if 0 <= source < EXCITING_MAPS:
            x = _excite(x, maps[source], first)
        maps.append(x)
    images = _to_images(maps[-1], channels, kernel=3)
    return keras.Model(latents if labels is None else [latents, labels], images, name="generator")


def _multiples(table: dict[int, float], height: int, width: int) -> list[float]:
    """Return a table's values for the maps from the smallest to one of the image's size.

    Sides between two powers of two count as the lower one.
    """
    side, doublings = min(smallest_map(height, width)), count_doublings(height, width)
    return [table[1 << (side << depth).bit_length() - 1] for depth in range(doublings + 1)]


def _first_map(
    code: KerasTensor, first: tuple[int, int], width: int, labels: KerasTensor | None
) -> KerasTensor:
    """Map the code (N, D) to the smallest map, (N, h, w, width)."""
    x = layers.Reshape((1, 1, code.shape[-1]))(code)
    convolution = layers.Conv2DTranspose(2 * width, first, use_bias=False, **_normal_kernel())
    return _norm_and_gate(_spectral_norm(convolution)(x), labels)


def _double(x: KerasTensor, width: int, labels: KerasTensor | None, is_comp: bool) -> KerasTensor:
    """Double a map's sides; a comp block has two convolutions, with noise after each."""
    x = _convolve(layers.UpSampling2D(2, interpolation="nearest")(x), 2 * width, 3)
    if not is_comp:
        return _norm_and_gate(x, labels)
    x = _norm_and_gate(_add_noise(x), labels)
    return _norm_and_gate(_add_noise(_convolve(x, 2 * width, 3)), labels)


def _norm_and_gate(x: KerasTensor, labels: KerasTensor | None) -> KerasTensor:
    """Normalize (N, h, w, 2 C), and multiply half of the channels by the other half's sigmoid."""
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    # PyTorch's momentum .1 is Keras's .9.
    options = {"momentum": 0.9, "epsilon": 1e-5}
    if labels is None:
        x = layers.BatchNormalization(gamma_initializer=gamma, **options)(x)
    else:
        norm = layers.BatchNormalization(scale=False, center=False, **options)
        x = class_norm(x, labels, norm, gamma)
    width = x.shape[-1] // 2
    return layers.Multiply()([x[..., :width], layers.Activation("sigmoid")(x[..., width:])])


def _add_noise(x: KerasTensor) -> KerasTensor:
    """In training, add noise N(0, 1) per pixel, times a learned factor that starts at 0."""
    noise = layers.GaussianNoise(1.0)(ops.zeros_like(x[..., :1]))
    factor = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="zeros")
    return layers.Add()([x, factor(noise)])


def _excite(x: KerasTensor, source: KerasTensor, first: tuple[int, int]) -> KerasTensor:
    """Multiply the channels of a map by factors computed from a smaller map."""
    factor = source.shape[1] // first[0]
    y = layers.AveragePooling2D(factor)(source) if factor > 1 else source
    y = layers.Activation("silu")(_convolve(y, x.shape[-1], first, padding="valid"))
    y = layers.Activation("sigmoid")(_convolve(y, x.shape[-1], 1))
    return layers.Multiply()([x, y])


def _to_images(x: KerasTensor, channels: int, kernel: int) -> KerasTensor:
    return layers.Activation("tanh", dtype="float32")(_convolve(x, channels, kernel))


def _convolve(
    x: KerasTensor,
    width: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    padding: str = "same",
) -> KerasTensor:
    """Convolve without a bias, with spectral norm."""
    convolution = layers.Conv2D(
        width, kernel, strides=stride, padding=padding, use_bias=False, **_normal_kernel()
    )
    return _spectral_norm(convolution)(x)


def _spectral_norm(layer: keras.Layer) -> keras.Layer:
    # Keras's wrapper overwrites the kernel by the divided kernel in the wrapper's own dtype: half
    # precision would round the weights at each step and lose small updates.
    return layers.SpectralNormalization(layer, dtype="float32")


def _normal_kernel() -> dict[str, keras.Initializer]:
    return {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.02)}
