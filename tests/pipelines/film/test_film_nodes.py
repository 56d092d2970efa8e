"""Films of small untrained generators, frame by frame."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.gallery.model_store import find_pretrained
from ganvas.label_columns import read_class_list
from ganvas.latents.directions import Direction, to_arrays
from ganvas.latents.latent_text import encode_w
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.dcgan import DcganParams, build_dcgan
from ganvas.networks.latent_prior import LatentPrior, add_prior
from ganvas.networks.latent_spaces import generate_from_w, map_to_w, mean_w, w_shape
from ganvas.networks.sampling import generate_images, sample_latents
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.networks.styles import map_latents, mix_styles, repeat_styles, synthesize
from ganvas.pipelines.film.nodes import make_film
from ganvas.pipelines.film.params import FilmParams
from ganvas.saved_arrays import read_arrays
from ganvas.visualization.image_grid import encode_png
from shaped_models import build_generator

NAMES = ["a", "b", "c"]
CLASSES = {"column": "kind", "names": NAMES}
SHAPE = (16, 16, 3)


def make_anchored():
    params = DcganParams(latent=6, generator_width=4, discriminator_width=1)
    generator = build_dcgan(params, SHAPE, classes=3).generator
    anchors = np.random.default_rng(0).standard_normal((40, 6), dtype=np.float32)
    return add_prior(generator, LatentPrior(anchors, anchors.std(0), 0.3, np.arange(40) % 3, 3))


def make_style_based():
    params = Stylegan2Params(channel_base=64, max_width=8, latent=6, style=5, noise=True)
    return build_stylegan2(params, SHAPE, classes=3).generator


@pytest.fixture(scope="module")
def generators():
    keras.utils.set_random_seed(0)
    made = {"anchored": make_anchored(), "styles": make_style_based()}
    for generator in made.values():
        # Larger weights, so that images differ.
        generator.set_weights([x * (4 if x.ndim > 3 else 1) for x in generator.get_weights()])
    for layer in made["styles"].get_layer("synthesis").layers:
        if layer.name.endswith("noise_strength"):
            layer.set_weights([np.ones_like(x) for x in layer.get_weights()])
    return made


def one_hot(name):
    return np.float32([[x == name for x in NAMES]])


def still(generator, number, name, seed=0, truncation=1.0):
    latents = sample_latents(generator, number + 1, seed)[number:]
    return generate_images(generator, latents, one_hot(name), truncation)[0]


def film(generator, folder, directions=None, classes=CLASSES, **params):
    """Return the frames of a film, and the grid of its keyframes."""
    # Quick formats and ways, where a test asks for no others.
    options = {"seconds": 1, "fps": 9, "formats": ["frames"], "interpolation": "spline"} | params
    arrays = to_arrays(directions or [])
    grid = make_film(generator, classes, {}, arrays, folder, FilmParams(**options))
    files = sorted((folder / options.get("name", "film")).glob("*.png"))
    return [np.asarray(Image.open(file)) for file in files], grid


@pytest.mark.parametrize(
    ("kind", "interpolation"),
    [
        ("anchored", "slerp"),
        pytest.param("anchored", "spline", marks=pytest.mark.exhaustive),
        pytest.param("styles", "slerp", marks=pytest.mark.exhaustive),
        ("styles", "spline"),
    ],
)
def test_first_and_last_frame_are_the_stills(generators, kind, interpolation, tmp_path):
    generator = generators[kind]
    keyframes = [
        1,
        {"number": 4, "class": "a", "truncation": 0.5},
        {"seed": 3, "number": 0, "class": {"b": 2, "c": 2}},
    ]
    options = {"keyframes": keyframes, "interpolation": interpolation}
    frames, grid = film(generator, tmp_path, **options)
    assert len(frames) == 9 and grid.shape == (20, 3 * 18 + 2, 3)
    np.testing.assert_array_equal(frames[0], still(generator, 1, "b"))
    np.testing.assert_array_equal(frames[4], still(generator, 4, "a", truncation=0.5))
    latents = sample_latents(generator, 1, 3)
    (last,) = generate_images(generator, latents, np.float32([[0, 0.5, 0.5]]))
    np.testing.assert_array_equal(frames[8], last)
    np.testing.assert_array_equal(grid[2:18, 38:54], last)
    assert len({frame.tobytes() for frame in frames}) == 9
    # A loop ends before its first keyframe comes again.
    looped, _ = film(generator, tmp_path, **options, loop=True, name="looped")
    np.testing.assert_array_equal(looped[0], frames[0])
    np.testing.assert_array_equal(looped[6], last)
    assert (looped[8] != looped[0]).any()


def test_a_film_without_keyframes_shows_the_first_samples(generators, tmp_path):
    frames, _ = film(generators["anchored"], tmp_path, seed=2)
    for number, name in enumerate("abcab"):
        expected = still(generators["anchored"], number, name, seed=2)
        np.testing.assert_array_equal(frames[2 * number], expected)


def test_keyframes_may_be_latents_of_files(generators, tmp_path):
    generator = generators["styles"]
    z, labels = sample_latents(generator, 3, 5), np.repeat(one_hot("b"), 3, axis=0)
    w = map_to_w(generator, z, labels)
    np.save(tmp_path / "w.npy", w)
    np.save(tmp_path / "z.npy", z[2])
    np.savez(tmp_path / "both.npz", w=w, labels=labels)
    expected = generate_images(generator, z, labels)
    keyframes = [
        {"latent": str(tmp_path / "w.npy"), "row": 1, "class": "a"},
        {"latent": str(tmp_path / "z.npy"), "class": "b"},
        str(tmp_path / "both.npz"),
    ]
    frames, _ = film(generator, tmp_path, keyframes=keyframes)
    for place, number in ((0, 1), (4, 2), (8, 0)):
        np.testing.assert_array_equal(frames[place], expected[number])
    # Their truncation leads to the mean of their class.
    keyframes = [keyframes[2], {"latent": keyframes[2], "truncation": 0}]
    frames, _ = film(generator, tmp_path, keyframes=keyframes)
    mean = mean_w(generator, one_hot("b"))
    np.testing.assert_array_equal(frames[8], generate_from_w(generator, mean)[0])


def test_latents_before_the_prior_are_named_z(generators, tmp_path):
    generator, labels = generators["anchored"], one_hot("b")
    z = sample_latents(generator, 2, 5)
    np.savez(tmp_path / "z.npz", z=z, labels=np.repeat(labels, 2, axis=0))
    keyframes = [{"latent": str(tmp_path / "z.npz"), "row": row} for row in range(2)]
    frames, _ = film(generator, tmp_path, keyframes=keyframes)
    np.testing.assert_array_equal(frames[0], generate_images(generator, z[:1], labels)[0])
    np.testing.assert_array_equal(frames[8], generate_images(generator, z[1:], labels)[0])


def test_a_saved_image_is_opened_exactly_and_not_as_another(generators, tmp_path):
    generator = generators["anchored"]
    w, labels = np.float32([[0.5, -1, 0, 2, 1, 0]]), one_hot("c")
    (image,) = generate_from_w(generator, w, labels)
    texts = {"w": encode_w(w[0]), "weights": encode_w(labels[0])}
    (tmp_path / "saved.png").write_bytes(encode_png(image, texts))
    keyframes = [str(tmp_path / "saved.png"), {"image": str(tmp_path / "saved.png"), "class": "a"}]
    frames, _ = film(generator, tmp_path, keyframes=keyframes)
    np.testing.assert_array_equal(frames[0], image)
    (other,) = generate_from_w(generator, w, one_hot("a"))
    np.testing.assert_array_equal(frames[8], other)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_another_image_is_found_by_the_encoder_of_the_generator(tmp_path, caplog):
    folder = find_pretrained().folder
    generator = keras.saving.load_model(folder / "generator.keras")
    encoder = read_arrays(folder / "encoder.npz")
    classes = json.loads((folder / "class_list.json").read_text())
    labels = read_class_list(classes).weigh(np.array([4]))
    latents = sample_latents(generator, 3, 1)[2:]
    (image,) = generate_images(generator, latents, labels)
    # The text names a latent of another image.
    texts = {"w": encode_w(np.zeros(w_shape(generator))), "weights": encode_w(labels)}
    (tmp_path / "image.png").write_bytes(encode_png(image, texts))
    keyframes = [{"image": str(tmp_path / "image.png"), "class": classes["names"][4]}]
    options = FilmParams(keyframes=keyframes, seconds=0.1, formats=["frames"])
    caplog.set_level("INFO")
    make_film(generator, classes, encoder, {}, tmp_path, options)
    found = np.asarray(Image.open(tmp_path / "film/frame_000000.png"))
    assert 0 < np.abs(found.astype(int) - image).mean() < 8
    assert "image.png: found with distances" in caplog.text


def test_edits_move_keyframes_along_directions(generators, tmp_path, caplog):
    generator = generators["anchored"]
    direction = Direction("Warm", "sefa", np.float32([0, 2, 0, 0, 0, 1]), -1, 2, 0.5, {})
    keyframes = [{"number": 1, "edits": {"warm": 1.5}}, {"number": 1, "edits": {"Warm": -2}}]
    frames, _ = film(generator, tmp_path, [direction], keyframes=keyframes)
    w = map_to_w(generator, sample_latents(generator, 2, 0)[1:], one_hot("b"))
    for place, strength in ((0, 1.5), (8, -2)):
        moved = w + np.float32(strength) * direction.vector
        np.testing.assert_array_equal(
            frames[place], generate_from_w(generator, moved, one_hot("b"))[0]
        )
    assert "has Warm=-2, and images are plausible from -1 to 2" in caplog.text
    assert "Warm=1.5" not in caplog.text
    with pytest.raises(GanvasError, match=r"Keyframe 1 of film\.keyframes: there is no direction"):
        film(generator, tmp_path, keyframes=[{"edits": {"warm": 1}}])


def test_styles_of_some_layers_are_those_of_other_keyframes(generators, tmp_path):
    generator = generators["styles"]
    mixing = {"keyframes": [{"number": 7, "class": "c"}], "layers": "2-3"}
    frames, _ = film(generator, tmp_path, keyframes=[0, 1], style_mixing=mixing)
    latents = sample_latents(generator, 8, 0)
    styles = [
        repeat_styles(generator, map_latents(generator, latents[[number]], one_hot(name)))
        for number, name in ((0, "a"), (1, "b"), (7, "c"))
    ]
    for place in (0, 1):
        mixed = mix_styles(styles[place], styles[2], range(2, 4))
        np.testing.assert_array_equal(frames[8 * place], synthesize(generator, mixed)[0])


def test_noise_is_that_of_the_film_or_of_each_frame(generators, tmp_path):
    generator = generators["styles"]
    options = {"keyframes": [3], "seconds": 0.5}
    counts = {}
    for noise in ("const", "none", "random"):
        frames, _ = film(generator, tmp_path, **options, noise=noise)
        counts[noise] = len({frame.tobytes() for frame in frames})
    assert counts == {"const": 1, "none": 1, "random": 4}
    again, _ = film(generator, tmp_path, **options, noise="random", name="again")
    np.testing.assert_array_equal(again, frames)


@pytest.mark.parametrize("shape", [(16, 24, 1), (16, 24, 4)])
def test_gray_and_transparent_films_in_all_formats(shape, tmp_path, caplog):
    generator = build_generator(shape)
    formats = ["webp", "gif", "frames", "zip"]
    caplog.set_level("INFO")
    options = {"keyframes": [0, 1], "scale": 2, "resampling": "nearest"}
    frames, grid = film(
        generator, tmp_path, classes={"column": None, "names": []}, formats=formats, **options
    )
    assert np.shape(frames)[1:3] == (32, 48) and grid.shape == (20, 54, 3)
    for form in ("webp", "gif", "zip"):
        assert f"film.{form} (9 frames, 1 s, " in caplog.text
        assert (tmp_path / f"film.{form}").stat().st_size > 100


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"keyframes": [0, {"class": "d"}]}, "Keyframe 2 of film.keyframes: there is no class 'd'"),
        ({"keyframes": [{"class": {"a": -1}}]}, "weights of classes must be numbers from 0"),
        ({"keyframes": ["no.png"]}, r"no\.png does not exist: choose another file"),
        ({"keyframes": ["no.npy"]}, r"no\.npy does not exist: choose another file"),
        ({"keyframes": [{"latent": "odd.npy"}]}, r"shape \(2, 7\), and latents .* have \(N, 6\)"),
        ({"keyframes": [{"latent": "w.npy", "row": 2}]}, "has 2 latents, and row 2 is requested"),
        ({"keyframes": ["w.npy"]}, r"has no class weights: add a class, such as 'class: a'"),
        ({"keyframes": ["nan.npy"]}, "values in row 0 that are no latents"),
        ({"keyframes": ["weights.npz"]}, "class weights in row 0 that are not from 0"),
        ({"keyframes": ["text.png"]}, r"text\.png can't be used"),
        ({"keyframes": ["text.npz"]}, r"text\.npz can't be read .*: choose another file"),
        ({"hold": 0.5}, r"are 9 frames, and 5 keyframes with film\.hold=0\.5 need 25 or more"),
        ({"noise": "none"}, r"film\.noise needs a generator with styles"),
        ({"style_mixing": {"keyframes": [1]}}, "style_mixing.keyframes needs a generator with st"),
    ],
)
def test_a_film_that_cannot_be_made_is_explained(
    generators, params, message, tmp_path, monkeypatch
):
    monkeypatch.setattr("ganvas.project_folder._folder", tmp_path)
    np.save(tmp_path / "odd.npy", np.zeros((2, 7)))
    np.save(tmp_path / "w.npy", np.zeros((2, 6)))
    np.save(tmp_path / "nan.npy", np.full((2, 6), np.nan))
    np.savez(tmp_path / "weights.npz", w=np.zeros((1, 6)), labels=[[np.nan, 1, 0]])
    for name in ("text.png", "text.npz"):
        (tmp_path / name).write_text("text")
    with pytest.raises(GanvasError, match=message):
        film(generators["anchored"], tmp_path / "films", **params)
    assert not (tmp_path / "films").exists()
