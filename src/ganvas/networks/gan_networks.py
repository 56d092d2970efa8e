"""The generator and discriminator that every network's file builds."""

from typing import Any, NamedTuple

from ganvas.keras_types import Model


class GanNetworks(NamedTuple):
    """A generator and a discriminator.

    Labels are (N, K): one-hot in training, or mixtures of classes whose weights sum to 1.

    Attributes:
        generator: Latents (N, Z) to images (N, H, W, C), float32 in [-1, 1]; values outside are
            clipped when images are saved. C is 1 (gray), 3 (RGB) or 4 (RGB and straight alpha, of
            which -1 is transparent). H and W need not be equal, nor powers of two; see
            `ganvas.image_shape`. Latents are standard normal, or with anchors of the
            distribution that `ganvas.networks.latent_prior` maps N(0, I) to. A conditional
            generator has the inputs [latent, classes].
        discriminator: Images to logits (N, 1), float32, positive for real, or (N, M) with M logits
            for M parts of an image; or to a dict with `logits` and any of these outputs, each of
            which adds a loss in training:
            `softmax_classes` (N, K): class logits of a softmax;
            `sigmoid_classes` (N, K): class logits of K sigmoids, whose targets for generated
            images are all 0;
            `reconstruction` (N, H, W, C): the reconstructed input;
            `features` (N, h, w, c): input of `decoder`.
            A conditional discriminator has the inputs [images, classes]. One with a pretrained
            backbone consists of two models: `backbone`, from images to a list of the images and the
            backbone's feature maps, and `heads`, from this list, with labels at its end, to
            logits.
            One that reconstructs real images consists of `encoder`, from images, small versions of
            them and labels to a dict of `logits`, `features`, `small_features` and
            `middle_features`, and `decoders`, from the first two maps and a quarter of the last to
            three images; see `ganvas.training.reconstruction`.
        decoder: `features` of real images to reconstructions of these images, of layers shared
            with the generator, which is trained by the reconstruction loss; None for most networks.
        training_generator: What is trained in the generator's place, whose layers it shares: with
            small versions of its images as second output, for such a discriminator, or with random
            noise and mixed styles, in StyleGAN2. None for most networks.
    """

    generator: Model
    discriminator: Model
    decoder: Model | None = None
    training_generator: Model | None = None


# Name of the layer whose output is the latents of a prior, see `ganvas.networks.latent_prior`.
PRIOR_OUTPUT = "prior_scale"


def remove_prior(generator: Model) -> Model:
    """Return the generator within one made by `latent_prior.add_prior`; any other one unchanged."""
    nested = [layer for layer in generator.layers if hasattr(layer, "layers")]
    return nested[0] if [layer.name for layer in nested] == [generator.name] else generator


def has_pretrained_backbone(discriminator: Model) -> bool:
    """Return whether a discriminator consists of `backbone` and `heads`; see `GanNetworks`."""
    return "backbone" in {layer.name for layer in discriminator.layers}


def reconstructs_real_images(discriminator: Model) -> bool:
    """Return whether a discriminator consists of `encoder` and `decoders`; see `GanNetworks`."""
    return "decoders" in {layer.name for layer in discriminator.layers}


def is_style_based(generator: Model) -> bool:
    """Return whether a generator has the parts of `ganvas.networks.stylegan2`."""
    return {"mapping", "synthesis"} <= {layer.name for layer in generator.layers}


def align_weights(network: Model, other: Model) -> list[Any]:
    """Return the weights of a network in the order of those of another with the same layers.

    Keras orders weights by layers, and these by the graph, which has more operations in half
    precision. Networks whose layers have other names are built alike, and so is their order.

    Args:
        network: The network whose weights are returned.
        other: One with layers of the same names or, built alike in the same precision, of others.
    """
    named, names = _name_weights(network), _name_weights(other)
    by_id = {id(weight): name for name, weight in names.items()}
    if named.keys() != names.keys() or by_id.keys() != {id(weight) for weight in other.weights}:
        return list(network.weights)
    return [named[by_id[id(weight)]] for weight in other.weights]


def copy_weights(source: Model, target: Model) -> None:
    """Copy all weights of a network to another with the same layers, in any precision."""
    for weight, value in zip(align_weights(target, source), source.get_weights(), strict=True):
        weight.assign(value)


def _name_weights(model: Model, path: tuple[str, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Return weights by the names of their layers and of the models that these are in."""
    named: dict[tuple[Any, ...], Any] = {}
    for layer in model.layers:
        at = (*path, layer.name)
        if hasattr(layer, "layers"):
            named |= _name_weights(layer, at)
        else:
            named |= {(*at, number): weight for number, weight in enumerate(layer.weights)}
    return named
