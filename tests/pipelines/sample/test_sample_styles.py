"""Sampling from a generator with styles: truncation, noise and style mixing."""

import keras
import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.sampling import generate_images, one_hot, sample_latents
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.networks.styles import (
    map_latents,
    mean_style,
    mix_styles,
    repeat_styles,
    select_layers,
    synthesize,
    truncate,
)
from ganvas.pipelines.sample.nodes import generate_samples, make_samples_grid
from ganvas.pipelines.sample.params import SampleParams
from ganvas.visualization.image_tables import split_style_mixing
from shaped_models import build_generator

CLASSES = {"names": ["a b", "c"]}
SHAPE = (32, 48)


@pytest.fixture(scope="module")
def generator():
    """Images differ by noise, class and latent."""
    keras.utils.set_random_seed(2)
    params = Stylegan2Params(channel_base=128, max_width=8, latent=6, style=8, mapping_layers=2)
    generator = build_stylegan2(params, (*SHAPE, 3), classes=2).generator
    for layer in generator.get_layer("synthesis").layers:
        if layer.name.endswith("noise_strength"):
            layer.kernel.assign(np.full((1, 1), 0.3))
    generator.get_layer("style_mean").kernel.assign(np.full((1, 8), 0.5))
    return generator


def sample(generator, folder, **params):
    return dict(generate_samples(generator, CLASSES, folder, SampleParams(**params)))


def inputs(generator, numbers):
    latents = sample_latents(generator, max(numbers) + 1, seed=0)[numbers]
    return latents, one_hot(np.array(numbers) % 2, 2)


def test_samples_are_the_images_of_the_gallery(generator, tmp_path):
    samples = sample(generator, tmp_path, count=5, truncation=0.6)
    assert list(samples)[:2] == ["seed0_000000_a-b", "seed0_000001_c"]
    expected = generate_images(generator, *inputs(generator, list(range(5))), truncation=0.6)
    np.testing.assert_array_equal(list(samples.values()), expected)


def test_mean_cutoff_and_noise_are_those_chosen(generator, tmp_path):
    params = {"truncation": 0.5, "truncation_cutoff": 3, "truncation_mean": "global"}
    samples = sample(generator, tmp_path, count=3, noise="random", **params)
    styles = repeat_styles(generator, map_latents(generator, *inputs(generator, [0, 1, 2])))
    truncated = truncate(styles, mean_style(generator), 0.5, cutoff=3)
    np.testing.assert_array_equal(
        list(samples.values()), synthesize(generator, truncated, "random", seed=0)
    )


def test_mixed_samples_have_the_styles_of_two(generator, tmp_path):
    mixing = {"rows": [4, 0], "columns": [3, 1, 2], "layers": "2-5"}
    params = {"style_mixing": mixing, "noise": "random", "truncation": 0.8}
    samples = sample(generator, tmp_path, **params)
    plain = sample(generator, tmp_path, count=5, noise="random", truncation=0.8)
    assert len(samples) == 5 + 6
    for name, image in plain.items():
        np.testing.assert_array_equal(samples[name], image)
    unmixed = sample(generator, tmp_path, style_mixing=mixing | {"layers": "7"}, truncation=0.8)
    name = "seed0_000004_a-b_with_000003"
    assert (samples[name] != samples["seed0_000004_a-b"]).any()
    assert (samples[name] != unmixed[name]).any()

    # Style mixing without truncation, to compare with the functions alone.
    samples = sample(generator, tmp_path, style_mixing=mixing)
    styles = repeat_styles(generator, map_latents(generator, *inputs(generator, [4, 3])))
    expected = synthesize(generator, mix_styles(styles[:1], styles[1:], range(2, 6)))
    np.testing.assert_array_equal(samples[name], expected[0])

    # The grid is a table with the samples on its margins.
    loads = {name: lambda image=image: image for name, image in samples.items()}
    grid = make_samples_grid(loads, CLASSES, SampleParams(style_mixing=mixing))
    left, right = split_style_mixing(grid, SHAPE, 3)
    np.testing.assert_array_equal(left[1, 0], samples["seed0_000004_a-b"])
    np.testing.assert_array_equal(right[0, 1], samples["seed0_000001_c"])
    np.testing.assert_array_equal(right[1, 0], samples[name])
    np.testing.assert_array_equal(right[2, 2], samples["seed0_000000_a-b_with_000002"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truncation_cutoff": 9}, "is more than the 8 layers .* set it to 8 or less"),
        ({"style_mixing": {"rows": [0], "columns": [1], "layers": "fine"}}, "coarse .0-3., middle"),
        ({"style_mixing": {"rows": [0], "columns": [1], "layers": "5-8"}}, "which are 0 to 7"),
    ],
)
def test_layers_that_a_generator_lacks_are_an_error_before_any_image(
    generator, tmp_path, changes, message
):
    with pytest.raises(GanvasError, match=message):
        generate_samples(generator, CLASSES, tmp_path, SampleParams(**changes))


def test_a_generator_without_noise_refuses_random_noise_alone(tmp_path):
    params = Stylegan2Params(channel_base=64, max_width=4, latent=6, style=8, noise=False)
    generator = build_stylegan2(params, (*SHAPE, 3), classes=2).generator
    plain = sample(generator, tmp_path, count=2)
    for name, image in sample(generator, tmp_path, count=2, noise="none").items():
        np.testing.assert_array_equal(image, plain[name])
    with pytest.raises(GanvasError, match="noise=random needs a generator with noise"):
        sample(generator, tmp_path, count=2, noise="random")


@pytest.mark.parametrize(
    "changes",
    [
        {"truncation_cutoff": 4},
        {"truncation_mean": "global"},
        {"noise": "none"},
        {"style_mixing": {"rows": [0], "columns": [1]}},
    ],
)
def test_networks_without_styles_refuse_parameters_of_styles(tmp_path, changes):
    generator = build_generator((64, 64, 3))
    with pytest.raises(GanvasError, match=f"sample.{next(iter(changes))} needs a generator with"):
        generate_samples(generator, {"names": []}, tmp_path, SampleParams(**changes))


def test_layers_are_selected_by_name_number_or_range():
    assert list(select_layers("coarse", 10)) == [0, 1, 2, 3]
    assert list(select_layers("fine", 10)) == [8, 9]
    assert list(select_layers("5", 10)) == [5] and list(select_layers("0-6", 18)) == [*range(7)]
    with pytest.raises(GanvasError, match="no range of layers"):
        select_layers("6-2", 10)
