"""Other published variants as parameters of DCGAN, and class-conditional networks."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from ganvas.backbones.precision import dtype_policy
from ganvas.errors import GanvasError
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.gan_networks import GanNetworks
from ganvas.training.fused_ops import with_fused_norms

RADFORD = {
    "generator_width": 128,
    "discriminator_width": 128,
    "kernel": 5,
    "stem": "dense",
    "head": "dense",
}
KERAS_IO = {
    "latent": 128,
    "smallest_side": 8,
    "generator_widths": [128, 128, 256, 512],
    "discriminator_widths": [64, 128, 128],
    "bias": True,
    "initializer": "glorot",
    "stem": "dense",
    "stem_activation": False,
    "generator_norm": "none",
    "generator_activation": "leaky_relu",
    "output_convolution": 5,
    "output_activation": "sigmoid",
    "head": "dense",
    "dropout": 0.2,
    "discriminator_norm": "none",
}
# The same variants in narrow networks, for any side.
NARROW = {"latent": 5, "generator_width": 2, "discriminator_width": 2, "class_embedding": 3}
AT_ANY_SIDE = {"generator_widths": None, "discriminator_widths": None}
TINY = {
    "pytorch": DcganParams(**NARROW),
    "radford": DcganParams(**(RADFORD | NARROW)),
    "keras_io": DcganParams(**(KERAS_IO | AT_ANY_SIDE | NARROW)),
    "mixed": DcganParams(
        **NARROW,
        smallest_side=8,
        kernel=3,
        stem_activation=False,
        output_convolution=3,
        output_activation="sigmoid",
        dropout=0.5,
        bias=True,
    ),
}


@pytest.fixture(scope="module")
def originals() -> dict[str, GanNetworks]:
    """Build all three at full width for 64×64 pixels."""
    keras.utils.set_random_seed(0)
    sets = {"pytorch": {}, "radford": RADFORD, "keras_io": KERAS_IO}
    return {name: build_dcgan(DcganParams(**p), (64, 64, 3)) for name, p in sets.items()}


def count_trainable(model: keras.Model) -> int:
    return sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)


def make_inputs(model: keras.Model, count: int = 4, seed: int = 0) -> list[np.ndarray]:
    """Draw random latents or images, and class mixtures for a conditional model."""
    rng = np.random.default_rng(seed)
    inputs = []
    for x in model.inputs:
        values = rng.uniform(-1, 1, (count, *x.shape[1:])).astype(np.float32)
        is_label = x.name == "classes"
        inputs.append(abs(values) / abs(values).sum(1, keepdims=True) if is_label else values)
    return inputs


def call(model: keras.Model, inputs: list[np.ndarray], **options: bool) -> np.ndarray:
    return np.asarray(model(inputs if len(inputs) > 1 else inputs[0], **options))


def randomize_weights(model: keras.Model) -> None:
    """Set all weights to random values, so that each one has an effect."""
    rng = np.random.default_rng(7)
    for weights in model.weights:
        limit = np.sqrt(6 / np.prod(weights.shape[:-1])) if len(weights.shape) > 1 else 0.5
        values = rng.uniform(-limit, limit, weights.shape)
        weights.assign(1 + values if weights.name in ("gamma", "moving_variance") else values)


@pytest.mark.slow
def test_parameter_counts_of_radfords_model(originals):
    generator, discriminator, *_ = originals["radford"]
    widths = [1024, 512, 256, 128, 3]
    kernels = 25 * sum(a * b for a, b in pairwise(widths))
    units = 4 * 4 * 1024
    # After the dense stem each unit has its own scale and offset.
    norms = 2 * (units + 512 + 256 + 128)
    assert count_trainable(generator) == 100 * units + kernels + norms == 18_885_760
    norms = 2 * (256 + 512 + 1024)
    assert count_trainable(discriminator) == kernels + norms + units == 17_232_768


@pytest.mark.slow
def test_parameter_counts_of_keras_io(originals):
    generator, discriminator, *_ = originals["keras_io"]
    units = 8 * 8 * 128
    strided = sum((a * 16 + 1) * b for a, b in pairwise([128, 128, 256, 512]))
    expected = (128 + 1) * units + strided + (512 * 25 + 1) * 3
    assert count_trainable(generator) == expected == 3_979_651
    strided = sum((a * 16 + 1) * b for a, b in pairwise([3, 64, 128, 128]))
    assert count_trainable(discriminator) == strided + units + 1 == 404_801


BN, CONV, UP, LEAKY = "BatchNormalization", "Conv2D", "Conv2DTranspose", "LeakyReLU"
TABLES = {
    ("pytorch", 0): [
        ("InputLayer", 100),
        ("Reshape", 1, 100),
        *[(kind, 4, 512) for kind in (UP, BN, "ReLU")],
        *[(kind, 8, 256) for kind in (UP, BN, "ReLU")],
        *[(kind, 16, 128) for kind in (UP, BN, "ReLU")],
        *[(kind, 32, 64) for kind in (UP, BN, "ReLU")],
        *[(kind, 64, 3) for kind in (UP, "Activation")],
    ],
    ("pytorch", 1): [
        ("InputLayer", 64, 3),
        *[(kind, 32, 64) for kind in (CONV, LEAKY)],
        *[(kind, 16, 128) for kind in (CONV, BN, LEAKY)],
        *[(kind, 8, 256) for kind in (CONV, BN, LEAKY)],
        *[(kind, 4, 512) for kind in (CONV, BN, LEAKY)],
        (CONV, 1, 1),
        ("Flatten", 1),
    ],
    ("radford", 0): [
        ("InputLayer", 100),
        *[(kind, 16384) for kind in ("Dense", BN, "ReLU")],
        ("Reshape", 4, 1024),
        *[(kind, 8, 512) for kind in (UP, BN, "ReLU")],
        *[(kind, 16, 256) for kind in (UP, BN, "ReLU")],
        *[(kind, 32, 128) for kind in (UP, BN, "ReLU")],
        *[(kind, 64, 3) for kind in (UP, "Activation")],
    ],
    ("radford", 1): [
        ("InputLayer", 64, 3),
        *[(kind, 32, 128) for kind in (CONV, LEAKY)],
        *[(kind, 16, 256) for kind in (CONV, BN, LEAKY)],
        *[(kind, 8, 512) for kind in (CONV, BN, LEAKY)],
        *[(kind, 4, 1024) for kind in (CONV, BN, LEAKY)],
        ("Flatten", 16384),
        ("Dense", 1),
    ],
    ("keras_io", 0): [
        ("InputLayer", 128),
        ("Dense", 8192),
        ("Reshape", 8, 128),
        *[(kind, 16, 128) for kind in (UP, LEAKY)],
        *[(kind, 32, 256) for kind in (UP, LEAKY)],
        *[(kind, 64, 512) for kind in (UP, LEAKY)],
        *[(kind, 64, 3) for kind in (CONV, "Activation", "Rescaling")],
    ],
    ("keras_io", 1): [
        ("InputLayer", 64, 3),
        *[(kind, 32, 64) for kind in (CONV, LEAKY)],
        *[(kind, 16, 128) for kind in (CONV, LEAKY)],
        *[(kind, 8, 128) for kind in (CONV, LEAKY)],
        *[(kind, 8192) for kind in ("Flatten", "Dropout")],
        ("Dense", 1),
    ],
}


@pytest.mark.parametrize(("name", "number"), TABLES)
def test_layers_are_those_of_the_originals(originals, name, number):
    # (kind, side, channels) of square feature maps, (kind, length) of vectors.
    table = []
    for layer in originals[name][number].layers:
        shape = layer.output.shape[1:]
        assert len(shape) == 1 or shape[0] == shape[1]
        table.append((type(layer).__name__, *shape[-2:]))
    assert table == TABLES[name, number]


def layers_with_kernels(networks: GanNetworks) -> list[keras.Layer]:
    return [layer for model in networks[:2] for layer in model.layers if hasattr(layer, "kernel")]


@pytest.mark.parametrize(("name", "side"), [("pytorch", 4), ("radford", 5), ("keras_io", 4)])
def test_strided_kernels_have_the_size_of_the_originals(originals, name, side):
    strided = [
        layer
        for layer in layers_with_kernels(originals[name])
        if getattr(layer, "strides", None) == (2, 2)
    ]
    assert {layer.kernel_size for layer in strided} == {(side, side)}
    activations = [layer for model in originals[name][:2] for layer in model.layers]
    slopes = {layer.negative_slope for layer in activations if type(layer).__name__ == LEAKY}
    assert slopes == {0.2}


def test_radfords_initial_weights_are_normal(originals):
    for layer in layers_with_kernels(originals["radford"]):
        assert not layer.use_bias
        assert float(np.std(layer.kernel)) == pytest.approx(0.02, rel=0.05)
    norm = next(layer for layer in originals["radford"].generator.layers if hasattr(layer, "gamma"))
    assert norm.gamma.shape == (16384,)
    assert float(np.mean(norm.gamma)) == pytest.approx(1, abs=1e-3)
    assert float(np.std(norm.gamma)) == pytest.approx(0.02, rel=0.05)
    assert not np.any(norm.beta)


def test_keras_ios_initial_weights_are_glorot_uniform(originals):
    layers = layers_with_kernels(originals["keras_io"])
    assert len(layers) == 9
    for layer in layers:
        *sides, a, b = layer.kernel.shape
        limit = np.sqrt(6 / (np.prod(sides) * (a + b)))
        largest = float(np.abs(layer.kernel).max())
        assert 0.98 * limit < largest <= limit
        assert layer.use_bias and not np.any(layer.bias)


def test_sigmoid_outputs_are_scaled_to_minus_1_to_1():
    generator = build_dcgan(TINY["keras_io"], (32, 32, 3)).generator
    inputs = make_inputs(generator)
    last = next(layer for layer in generator.layers if type(layer).__name__ == "Activation")
    before = call(keras.Model(generator.input, last.input), inputs)
    assert np.ptp(before) > 0.1
    np.testing.assert_allclose(call(generator, inputs), 2 / (1 + np.exp(-before)) - 1, atol=1e-6)


def test_glorot_initializes_norms_with_ones():
    params = DcganParams(initializer="glorot", **NARROW)
    norms = [
        layer
        for model in build_dcgan(params, (32, 32, 3))[:2]
        for layer in model.layers
        if type(layer).__name__ == BN
    ]
    assert len(norms) == 5
    assert all(np.all(np.asarray(norm.gamma) == 1) for norm in norms)
    generator = build_dcgan(params, (32, 32, 3), classes=2).generator
    tables = [layer for layer in generator.layers if layer.name.endswith("_gamma")]
    assert len(tables) == 3
    assert all(np.all(np.asarray(table.kernel) == 1) for table in tables)


@pytest.mark.parametrize("head", ["convolution", "dense"])
def test_dropout_is_active_only_in_training(head):
    params = DcganParams(head=head, dropout=0.5, discriminator_norm="none", **NARROW)
    discriminator = build_dcgan(params, (32, 32, 3)).discriminator
    randomize_weights(discriminator)
    inputs = make_inputs(discriminator)
    a, b = (call(discriminator, inputs, training=True) for _ in range(2))
    assert (a != b).all()
    a, b = (call(discriminator, inputs, training=False) for _ in range(2))
    np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("side", [32, 64, 128, 256])
@pytest.mark.parametrize("name", TINY)
def test_shapes_at_every_side(name, side):
    for classes in (0, 3):
        generator, discriminator, decoder, _ = build_dcgan(TINY[name], (side, side, 3), classes)
        labels = ["classes"] if classes else []
        assert [x.name for x in generator.inputs] == ["latent", *labels]
        assert [x.name for x in discriminator.inputs] == ["images", *labels]
        assert (generator.name, discriminator.name) == ("generator", "discriminator")
        assert generator.inputs[0].shape == (None, 5)
        assert discriminator.inputs[0].shape == (None, side, side, 3)
        assert all(model.inputs[-1].shape[1] == 3 for model in (generator, discriminator) if labels)
        assert generator.output_shape == (None, side, side, 3)
        assert discriminator.output_shape == (None, 1)
        assert decoder is None
        images = call(generator, make_inputs(generator, 2))
        assert images.shape == (2, side, side, 3) and np.abs(images).max() <= 1
        logits = call(discriminator, [images, *make_inputs(discriminator, 2)[1:]])
        assert logits.shape == (2, 1)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(
    ("precision", "options", "classes"),
    [
        ("mixed_bfloat16", {"spectral_norm": True}, 3),
        ("mixed_bfloat16", {}, 0),
        ("mixed_float16", {}, 3),
    ],
)
def test_outputs_are_float32_in_mixed_precision(name, precision, options, classes):
    with dtype_policy(precision):
        networks = build_dcgan(TINY[name].model_copy(update=options), (32, 32, 3), classes)
    for model in networks[:2]:
        assert all(weights.dtype == "float32" for weights in model.weights)
        outputs = call(model, make_inputs(model))
        assert outputs.dtype == np.float32
        assert np.isfinite(outputs).all()
    assert networks.generator.layers[-3].compute_dtype == precision.removeprefix("mixed_")


@pytest.mark.parametrize("stem", ["convolution", "dense"])
def test_a_stem_without_activation_precedes_the_next_layer(stem):
    params = DcganParams(stem=stem, stem_activation=False, **NARROW)
    kinds = [type(layer).__name__ for layer in build_dcgan(params, (32, 32, 3)).generator.layers]
    first = {"convolution": ["Reshape", UP], "dense": ["Dense", "Reshape"]}[stem]
    hidden = [UP, BN, "ReLU"]
    assert kinds == ["InputLayer", *first, *hidden, *hidden, UP, "Activation"]


@pytest.mark.parametrize(
    ("widths", "sides"),
    [
        ({"generator_widths": [8, 4, 2]}, "4, 8, 16, 32"),
        ({"generator_widths": [8, 4, 2, 1, 1], "smallest_side": 8}, "8, 16, 32"),
        ({"generator_widths": [8, 4, 2], "output_convolution": 5}, "4, 8, 16, 32, 64"),
        ({"discriminator_widths": [1, 2, 4, 8, 16]}, "32, 16, 8, 4"),
        ({"discriminator_widths": []}, "32, 16, 8, 4"),
        ({"discriminator_widths": [1, 2], "smallest_side": 8}, "32, 16, 8"),
    ],
)
def test_a_width_list_of_the_wrong_length_is_rejected(widths, sides):
    with pytest.raises(GanvasError) as caught:
        build_dcgan(DcganParams(**widths), (64, 64, 3))
    name, value = next(iter(widths.items()))
    count = sides.count(",") + 1
    assert str(caught.value) == (
        f"Parameter 'network.dcgan.{name}' can't be {value}: images of 64 pixels need {count} "
        f"widths, for feature maps of sides {sides}; list as many in this order, or set null for "
        "widths that double at each halving of the side."
    )


def test_width_lists_can_express_doubled_widths():
    doubled = build_dcgan(DcganParams(generator_width=2, discriminator_width=3), (64, 64, 3))
    params = DcganParams(generator_widths=[16, 8, 4, 2], discriminator_widths=[3, 6, 12, 24])
    for a, b in zip(doubled[:2], build_dcgan(params, (64, 64, 3))[:2], strict=True):
        assert [w.shape for w in a.weights] == [w.shape for w in b.weights]


@pytest.mark.parametrize("name", TINY)
def test_the_class_affects_image_and_logit(name):
    for model in build_dcgan(TINY[name], (32, 32, 3), classes=3)[:2]:
        randomize_weights(model)
        values = make_inputs(model, 1)[0].repeat(3, axis=0)
        outputs = call(model, [values, np.eye(3, dtype=np.float32)])
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert np.abs(outputs[a] - outputs[b]).max() > 1e-2


@pytest.mark.parametrize("stem", ["convolution", "dense"])
@pytest.mark.parametrize("number", [0, 1])
def test_conditional_norms_have_a_scale_and_offset_per_class(stem, number):
    params = DcganParams(stem=stem, **NARROW)
    generator = build_dcgan(params, (32, 32, 3), classes=3).generator
    randomize_weights(generator)
    norm = [layer for layer in generator.layers if type(layer).__name__ == BN][number]
    relu = [layer for layer in generator.layers if type(layer).__name__ == "ReLU"][number]
    latents = make_inputs(generator, 4)[0]
    labels = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0.25, 0, 0.75]], np.float32)
    probe = keras.Model(generator.inputs, [norm.input, relu.input])
    x, output = map(np.asarray, probe([latents, labels], training=True))
    assert (x.ndim, x.shape[-1]) == (
        (2, 128) if (stem, number) == ("dense", 0) else (4, 8 >> number)
    )
    axes = tuple(range(x.ndim - 1))
    normalized = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5)
    gamma, beta = (
        np.asarray(generator.get_layer(f"{norm.name}_{name}").kernel) for name in ("gamma", "beta")
    )
    scales = [gamma[0], gamma[2], gamma[1], 0.25 * gamma[0] + 0.75 * gamma[2]]
    offsets = [beta[0], beta[2], beta[1], 0.25 * beta[0] + 0.75 * beta[2]]
    for i, (scale, offset) in enumerate(zip(scales, offsets, strict=True)):
        np.testing.assert_allclose(output[i], normalized[i] * scale + offset, atol=1e-4)


def test_conditional_norms_are_initially_almost_unconditional():
    keras.utils.set_random_seed(0)
    generator = build_dcgan(DcganParams(), (64, 64, 3), classes=10).generator
    norms = [layer for layer in generator.layers if type(layer).__name__ == BN]
    assert len(norms) == 4
    for norm in norms:
        assert not norm.trainable_weights
        gamma, beta = (generator.get_layer(f"{norm.name}_{name}") for name in ("gamma", "beta"))
        assert gamma.kernel.shape == beta.kernel.shape == (10, norm.output.shape[-1])
        assert float(np.mean(gamma.kernel)) == pytest.approx(1, abs=0.01)
        assert float(np.std(gamma.kernel)) == pytest.approx(0.02, rel=0.15)
        assert not np.any(beta.kernel) and not gamma.use_bias and not beta.use_bias
    norms_by_class = 9 * 2 * (512 + 256 + 128 + 64)
    embedding = 10 * 32 + 32 * 4 * 4 * 512
    assert count_trainable(generator) == 3_576_704 + norms_by_class + embedding


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_class_embedding_is_concatenated_to_the_latent(norm):
    keras.utils.set_random_seed(0)
    params = DcganParams(generator_norm=norm, latent=7, generator_width=1)
    generator = build_dcgan(params, (32, 32, 3), classes=4).generator
    embedding = np.asarray(generator.get_layer("class_embedding").kernel)
    assert embedding.shape == (4, 32) and embedding.std() == pytest.approx(1, abs=0.2)
    latents, labels = make_inputs(generator)
    joined = next(layer for layer in generator.layers if type(layer).__name__ == "Concatenate")
    outputs = call(keras.Model(generator.inputs, joined.output), [latents, labels])
    expected = np.hstack([latents, labels @ embedding])
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    gammas = [layer for layer in generator.layers if layer.name.endswith("_gamma")]
    assert bool(gammas) == (norm == "batch")


@pytest.mark.parametrize("name", TINY)
def test_the_projection_logit_is_an_inner_product_with_summed_maps(name):
    discriminator = build_dcgan(TINY[name], (32, 32, 3), classes=3).discriminator
    randomize_weights(discriminator)
    last = [layer for layer in discriminator.layers if type(layer).__name__ == LEAKY][-1]
    summands = next(layer for layer in discriminator.layers if type(layer).__name__ == "Add")
    probe = keras.Model(discriminator.inputs, [last.output, summands.input[0]])
    inputs = make_inputs(discriminator)
    maps, unconditional = map(np.asarray, probe(inputs))
    assert maps.shape[1] == TINY[name].smallest_side
    embeddings = inputs[1] @ np.asarray(discriminator.get_layer("class_embedding").kernel)
    expected = unconditional + (embeddings * maps.sum((1, 2))).sum(1, keepdims=True)
    np.testing.assert_allclose(call(discriminator, inputs), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - unconditional).max() > 0.1


@pytest.mark.slow
def test_spectral_norm_covers_dense_head_and_class_embedding():
    keras.utils.set_random_seed(0)
    params = DcganParams(spectral_norm=True, head="dense", **NARROW)
    discriminator = build_dcgan(params, (32, 32, 3), classes=3).discriminator
    kernels = [layer.layer.kernel for layer in discriminator.layers if hasattr(layer, "layer")]
    shapes = [tuple(kernel.shape) for kernel in kernels]
    assert len(shapes) == 5 and {(128, 1), (3, 8)} < set(shapes)
    inputs = make_inputs(discriminator)
    for _ in range(20):
        call(discriminator, inputs, training=True)
    largest = [
        np.linalg.norm(np.asarray(kernel).reshape(-1, kernel.shape[-1]), 2) for kernel in kernels
    ]
    assert largest == pytest.approx([1] * 5, abs=0.03)


@pytest.mark.parametrize("name", ["pytorch", "radford", "keras_io"])
def test_fused_conditional_networks_share_weights_and_outputs(name):
    for model in build_dcgan(TINY[name], (32, 32, 3), classes=3)[:2]:
        randomize_weights(model)
        for layer in model.layers:
            # Dropout is random.
            if type(layer).__name__ == "Dropout":
                layer.rate = 0
        fused = with_fused_norms(model)
        assert {id(w) for w in fused.weights} == {id(w) for w in model.weights}
        initial, inputs = model.get_weights(), make_inputs(model)
        results = []
        for network in (model, fused):
            model.set_weights(initial)
            results.append([call(network, inputs, training=True), *model.get_weights()])
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
