"""Reconstruction of real images by the discriminator, as in FastGAN (arXiv 2101.04775).

A discriminator that sees few images soon looks only at what distinguishes them. Here decoders must
reconstruct real images from its feature maps, so that these describe images as a whole: each image
from the last map, its small version from that version's last map, and a quarter of it from the same
quarter of a finer map. As in the authors' code, decoders see real images alone, the quarter is the
same for a batch, and images are reduced by taking every n-th pixel.

The authors compare images by LPIPS, on features of VGG, whose weights Ganvas doesn't have; here the
loss is the mean absolute difference of pixels. It blurs what the decoders reconstruct, which nobody
sees; the maps are trained to describe large forms and colors rather than texture.
"""

import keras
import tensorflow as tf
from keras import ops

from ganvas.training.adversary import (
    Adversary,
    DiscriminatorOutput,
    refuse_penalty_with_batch_norm,
)
from ganvas.training.config import TrainParams
from ganvas.training.fused_ops import with_fused_norms


class ReconstructingAdversary(Adversary):
    """An adversary whose discriminator also takes small images, and reconstructs real ones.

    Generated images are pairs, (N, H, W, C) and (N, h, w, C), of a `training_generator`. Each is
    augmented independently, as in the authors' code. Small real images are computed from those that
    were augmented.

    Args:
        discriminator: A discriminator made of `encoder` and `decoders`; see
            `ganvas.networks.gan_networks.GanNetworks`.
        params: Parameters of training.
        schedule_steps: See `Adversary`.

    Raises:
        GanvasError: A gradient penalty is set, and the discriminator has batch normalization.
    """

    def __init__(
        self,
        discriminator: keras.Model,
        params: TrainParams,
        schedule_steps: int | None = None,
    ) -> None:
        super().__init__(discriminator, params, schedule_steps)
        encoder = discriminator.get_layer("encoder")
        refuse_penalty_with_batch_norm(encoder, params)
        self.encoder = with_fused_norms(encoder)
        self.decoders = with_fused_norms(discriminator.get_layer("decoders"))

    def forward(
        self, images: tf.Tensor | list[tf.Tensor], labels: tf.Tensor | None
    ) -> DiscriminatorOutput:
        """Augment images if set, and run the discriminator on them; reconstruct real images.

        Args:
            images: Real images (N, H, W, C), or a list of generated images and small ones.
            labels: One-hot labels, (N, K); None without classes.
        """
        is_real = not isinstance(images, list)
        if is_real:
            (large,) = self.augment_alike([images])
            augmented = [large, _shrink(large, self.encoder.inputs[1].shape)]
        else:
            augmented = [x for image in images for x in self.augment_alike([image])]
        inputs = [*augmented, labels] if self.is_conditional else augmented
        outputs = self.encoder(inputs, training=True)
        logits = ops.cast(outputs["logits"], "float32")
        aux_outputs = {}
        if is_real:
            aux_outputs["reconstruction_loss"] = self._compare(augmented[0], outputs)
        large_images = images if is_real else images[0]
        return DiscriminatorOutput(logits, aux_outputs, large_images, augmented[0], labels)

    def _compare(self, images: tf.Tensor, outputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Decode the maps of images, and sum the mean absolute differences to the images."""
        quarter = keras.random.randint((), 0, 4, seed=self.seed)
        maps = [
            outputs["features"],
            outputs["small_features"],
            _cut_quarter(outputs["middle_features"], quarter),
        ]
        targets = [images, images, _cut_quarter(images, quarter)]
        return sum(
            ops.mean(ops.abs(ops.cast(decoded, "float32") - _shrink(target, decoded.shape)))
            for decoded, target in zip(self.decoders(maps, training=True), targets, strict=True)
        )

    def _reconstruction_loss(self, output: DiscriminatorOutput) -> tf.Tensor:
        loss = output.aux_outputs.get("reconstruction_loss")
        return ops.zeros(()) if loss is None else self.params.loss.reconstruction_weight * loss


def _shrink(images: tf.Tensor, shape: tuple[int | None, ...]) -> tf.Tensor:
    """Take every n-th pixel, or repeat pixels, so that images have the sides of a shape."""
    height, wanted = images.shape[1], shape[1]
    if height >= wanted:
        factor = height // wanted
        return images[:, ::factor, ::factor]
    factor = wanted // height
    return ops.repeat(ops.repeat(images, factor, axis=1), factor, axis=2)


def _cut_quarter(x: tf.Tensor, quarter: tf.Tensor) -> tf.Tensor:
    """Return a quarter of (N, h, w, C): 0 top left, 1 top right, 2 bottom left, 3 bottom right."""
    height, width = x.shape[1] // 2, x.shape[2] // 2
    top, left = quarter // 2 * height, quarter % 2 * width
    cut = x[:, top : top + height, left : left + width]
    return tf.ensure_shape(cut, (x.shape[0], height, width, x.shape[3]))
