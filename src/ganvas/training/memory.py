"""Estimate the memory of training from the networks' layers, without running a step.

A step that takes more memory than there is ends the process without an error message, so what it
needs must be known before. The estimate adds up what has to be in memory at once: weights and
optimizer state, the outputs of layers that backpropagation reads again, gradients, and what
TensorFlow takes by itself. `docs/image-sizes.md` compares it with measured peaks.
"""

import logging
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import keras
import numpy as np

from ganvas.disk_space import format_bytes
from ganvas.errors import GanvasError
from ganvas.networks.batches import batch_size
from ganvas.networks.gan_networks import GanNetworks, is_style_based
from ganvas.training.ada import list_groups
from ganvas.training.config import MIN_BATCH, TrainParams
from ganvas.training.latent_anchoring import uses_anchors

logger = logging.getLogger(__name__)

FLOAT32 = 4
# The process with TensorFlow and Kedro before any network; of a GPU, CUDA's libraries.
HOST_BYTES, GPU_BYTES = 900e6, 800e6
# Graph and kernels of the step, for each layer of both networks.
GRAPH_BYTES = 2.5e6
# Layers whose output takes the memory of their input, or is no new array.
IN_PLACE = (
    *("InputLayer", "Reshape", "Flatten", "ReLU", "Activation", "Add", "Dropout"),
    # Operations of StyleGAN2's networks whose gradient reads neither their input nor their output.
    *("Pad", "AveragePool", "Stack", "GetItem", "Cast"),
)
# Copies of the images of a batch: real and generated ones, augmented, and their gradients.
IMAGE_COPIES = 8
# Copies more where ADA moves images: upsampled by 2, and continued up to three times the sides.
ADA_COPIES = 90
# Outputs and gradients of the largest layer that backpropagation has at once.
LARGEST_COPIES = 3
# Forward passes whose outputs a gradient penalty keeps: R3GAN's peaks with R1 and R2 were measured,
# which are lower still.
PENALTY_PASSES = 1
# Forward passes of the generator whose outputs path length regularization keeps: of the images,
# and of the gradient by their styles.
PATH_LENGTH_PASSES = 3
# Share of the memory from which a warning is logged: estimates may be too low by a fifth. Only
# above the other training is refused, since estimates may also be too high by a seventh.
LIKELY_SHARE, CERTAIN_SHARE = 0.8, 1.15


class LayerBytes(NamedTuple):
    """Bytes of a network's layer outputs for one image.

    Attributes:
        kept: Of those that backpropagation reads again.
        all: Of all outputs, which generating images holds at once.
        largest: Of the largest output.
        layers: Number of layers, without operations that are none.
    """

    kept: int
    all: int
    largest: int
    layers: int


class MemoryEstimate(NamedTuple):
    """Estimated bytes that training takes at its peak, on one device.

    Attributes:
        process: The process by itself, and the step's graph.
        weights: Weights of both networks, and the EMA.
        optimizer: State of both optimizers.
        copies: Copies of all of these in the main memory, for checkpoints; 0 on a GPU.
        activations: Layer outputs and images of a step.
        gradients: Gradients of the weights.
        sampling: Layer outputs while images are generated for a snapshot.
    """

    process: float
    weights: float
    optimizer: float
    copies: float
    activations: float
    gradients: float
    sampling: float

    @property
    def total(self) -> float:
        """Bytes at the peak: of a step, or of a snapshot if it takes more."""
        held = self.process + self.weights + self.optimizer + self.copies
        return held + max(self.activations + self.gradients, self.sampling)


def estimate_memory(
    networks: GanNetworks, params: TrainParams, replicas: int = 1, gpu: bool = False
) -> MemoryEstimate:
    """Estimate the memory of training; see the module's description.

    Args:
        networks: The networks to train.
        params: Parameters of training.
        replicas: Number of devices that share each batch.
        gpu: Whether to estimate the memory of a GPU, not the main memory.

    Example:
        >>> networks = build_dcgan(DcganParams(), image_shape=(64, 64, 3))
        >>> estimate_memory(networks, TrainParams(batch_size=64)).total / 2**30
        1.4
    """
    generator, discriminator = networks[:2]
    made, judged = measure_layers(generator), measure_layers(discriminator)
    images = params.batch_size / params.gradient_accumulation_steps / replicas
    image = prod(generator.output_shape[1:]) * FLOAT32
    largest = max(made.largest, judged.largest)
    per_image = _kept_in_a_step(networks, params, made, judged)
    per_image += IMAGE_COPIES * image + LARGEST_COPIES * largest
    if params.augment.name == "ada" and list_groups(params.augment.set) & {"blit", "geom"}:
        per_image += ADA_COPIES * image
    # Batches wait in uint8, a few at a time.
    waiting = 4 * params.images_per_step * image / FLOAT32

    weights_g, weights_d = (_weight_bytes(model.weights) for model in (generator, discriminator))
    trained = sum(_weight_bytes(model.trainable_weights) for model in networks[:2])
    moments = 2 if params.optimizer.name == "adam" else 1
    weights = weights_g + weights_d
    # Half precision takes float32 weights and copies of them, and a generator in float32.
    has_ema = params.has_ema or params.precision != "float32"
    weights += weights_g if has_ema else 0
    half = 0 if params.precision == "float32" else trained / 2
    # Of several micro-batches the sum, and those of the present one; the EMA's new values.
    gradients = trained * (2 if params.gradient_accumulation_steps > 1 else 1) + half
    gradients += weights_g if params.has_ema else 0
    state = weights + moments * trained
    # The graph has a copy of the step for each micro-batch.
    graph = GRAPH_BYTES * (made.layers + judged.layers) * params.gradient_accumulation_steps
    return MemoryEstimate(
        process=GPU_BYTES if gpu else HOST_BYTES + graph,
        weights=weights,
        optimizer=moments * trained,
        # Of the last epoch while the next one trains, in case it diverges.
        copies=0 if gpu else state,
        activations=images * per_image + (0 if gpu else waiting),
        gradients=gradients,
        sampling=batch_size(*generator.output_shape[1:3]) * made.all,
    )


def _kept_in_a_step(
    networks: GanNetworks, params: TrainParams, made: LayerBytes, judged: LayerBytes
) -> float:
    """Return the bytes of layer outputs that a step keeps at once, for each image."""
    penalties = sum(bool(weight) for weight in (params.penalty.r1, params.penalty.r2))
    penalties += params.penalty.wgan_gp > 0
    # The discriminator's pass of real and generated images.
    updated = (2 + PENALTY_PASSES * penalties) * judged.kept
    if uses_anchors(networks.discriminator, params):
        # Generated images alone have gradients through the backbone.
        backbone, heads = (
            measure_layers(networks.discriminator.get_layer(name)) for name in ("backbone", "heads")
        )
        passes = backbone.kept + 2 * heads.kept + 2 * backbone.largest
        return made.kept + passes + PENALTY_PASSES * penalties * judged.kept
    if params.simultaneous_updates:
        return made.kept + updated
    decoder = measure_layers(networks.decoder).kept if networks.decoder else 0
    # The generator's outputs are kept from one update to the other, unless it generates again.
    again = params.gradient_accumulation_steps > 1 or params.resample_latents
    needs_real = bool(decoder) or params.loss.name == "relativistic"
    fooled = made.kept + (2 if needs_real else 1) * judged.kept + decoder
    lengths = 0.0
    if params.path_length.weight:
        lengths = PATH_LENGTH_PASSES * made.kept / params.path_length.batch_divisor
    return max(updated + (0 if again else made.kept), fooled, lengths)


def measure_layers(model: keras.Model) -> LayerBytes:
    """Add up the outputs of a functional model's layers, submodels included.

    Example:
        >>> images = keras.Input((8, 8, 3))
        >>> measure_layers(keras.Model(images, keras.layers.Conv2D(4, 1)(images))).kept
        1024
    """
    kept = total = largest = layers = 0
    for operation, size in _list_outputs(model):
        name, is_layer = type(operation).__name__, isinstance(operation, keras.Layer)
        layers += is_layer
        # As an operation that is no layer, it returns the same array.
        total += 0 if name == "Reshape" and not is_layer else size
        kept += 0 if name in IN_PLACE else size
        largest = max(largest, size)
    return LayerBytes(kept, total, largest, layers)


def _list_outputs(model: keras.Model) -> Iterator[tuple[keras.Operation, int]]:
    """Yield the layer or operation of each call and the bytes of its outputs for one image."""
    # Keras has no public access to calls; where a layer is shared, these are this model's alone.
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            if isinstance(node.operation, keras.Model):
                yield from _list_outputs(node.operation)
                continue
            size = sum(
                prod(side or 1 for side in x.shape[1:]) * np.dtype(_as_numpy(x.dtype)).itemsize
                for x in node.output_tensors
                # Weights that are computed with have no batch dimension.
                if x.shape and x.shape[0] is None
            )
            yield node.operation, size


def _as_numpy(dtype: str) -> str:
    return "float16" if dtype == "bfloat16" else dtype


def _weight_bytes(weights: list[keras.Variable]) -> float:
    return sum(prod(weight.shape) for weight in weights) * FLOAT32


# --- What to do about it ----------------------------------------------------------------------


def check_memory(
    networks: GanNetworks,
    params: TrainParams,
    limit: int | None,
    replicas: int = 1,
    gpu: bool = False,
) -> MemoryEstimate:
    """Refuse training that doesn't fit into memory, and warn if it may not.

    Args:
        networks: The networks to train.
        params: Parameters of training.
        limit: Bytes of memory that training may take; None: unknown.
        replicas: Number of devices that share each batch.
        gpu: Whether the memory is that of a GPU.

    Returns:
        The estimate.

    Raises:
        GanvasError: The estimate is certainly above the limit, with what would fit.
    """
    estimate = estimate_memory(networks, params, replicas, gpu)
    if limit is None or estimate.total <= LIKELY_SHARE * limit:
        return estimate
    holder = "the GPU has" if gpu else "this process may use"
    needs = f"about {format_bytes(estimate.total)} of memory, and {holder} {format_bytes(limit)}"
    remedy = _find_remedy(networks, params, limit, replicas, gpu)
    if estimate.total > CERTAIN_SHARE * limit:
        raise GanvasError(f"Training would need {needs}: {remedy}.")
    logger.warning("Training will need %s: if it ends by a lack of memory, %s.", needs, remedy)
    return estimate


def _find_remedy(
    networks: GanNetworks, params: TrainParams, limit: int, replicas: int, gpu: bool
) -> str:
    """Return the smallest change of the batch that fits, or what else helps."""
    fixed = estimate_memory(networks, params, replicas, gpu)
    least = fixed
    for changes in _list_changes(networks, params, replicas):
        changed = params.model_copy(update=changes)
        estimate = estimate_memory(networks, changed, replicas, gpu)
        if estimate.total <= LIKELY_SHARE * limit:
            words = ",".join(f"train.{name}={value}" for name, value in changes.items())
            return f"{words} would take about {format_bytes(estimate.total)}"
        least = min(least, estimate, key=lambda each: each.total)
    sampled = least.total - least.sampling + least.activations + least.gradients
    if least.sampling > least.activations + least.gradients and sampled <= LIKELY_SHARE * limit:
        # At a lower size more are generated at once, so it may need no less.
        count = batch_size(*networks.generator.output_shape[1:3])
        return (
            f"generating {count} samples at once takes {format_bytes(least.sampling)} of it, so "
            f"set a narrower generator, such as half of {_width_parameter(networks)}"
        )
    held = fixed.weights + fixed.optimizer + fixed.copies + fixed.gradients
    if held > LIKELY_SHARE * limit / 2:
        return (
            f"the networks alone, of {_count_weights(networks):,} parameters, take "
            f"{format_bytes(held)} of it, so set narrower ones, such as half of "
            f"{_width_parameter(networks)}, or a lower ingest.size"
        )
    return "set a lower ingest.size, or narrower networks"


def _width_parameter(networks: GanNetworks) -> str:
    """Return the parameter of the networks' width, as far as it is known."""
    if is_style_based(networks.generator):
        return "network.stylegan2.channel_base and network.stylegan2.max_width"
    return "network.<name>.generator_width"


def _list_changes(
    networks: GanNetworks, params: TrainParams, replicas: int
) -> Iterator[dict[str, int]]:
    """Yield smaller micro-batches of the same batch, then smaller batches."""
    group = replicas
    if uses_anchors(networks.discriminator, params):
        group *= params.anchor.every or 1
    # Of one image, batch normalization would erase vectors.
    normed = any(
        isinstance(layer, keras.layers.BatchNormalization)
        for network in networks[:2]
        for layer in network.layers
    )
    batch = params.batch_size
    while batch >= max(MIN_BATCH, group):
        for steps in range(params.gradient_accumulation_steps, batch + 1):
            if batch % (steps * group) == 0 and not (normed and batch == steps * replicas):
                changes = {"batch_size": batch, "gradient_accumulation_steps": steps}
                yield {k: v for k, v in changes.items() if v != getattr(params, k)}
        batch //= 2


def _count_weights(networks: GanNetworks) -> int:
    return sum(model.count_params() for model in networks[:2])
