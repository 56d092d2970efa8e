"""Parameters of films, as files of configuration and the command line have them."""

import pytest
import yaml

from ganvas.base_params import check_params
from ganvas.errors import GanvasError
from ganvas.pipelines.film.params import FilmParams
from projects import load_config, read_option


def read(text: str) -> FilmParams:
    return check_params(FilmParams, yaml.safe_load(text))


def test_the_defaults_are_those_of_the_configuration():
    assert check_params(FilmParams, load_config("parameters")["film"]) == FilmParams()


def test_keyframes_have_short_forms():
    keyframes = read(
        "keyframes: [3, '7', seed2_000031_Night-Skies, art/My face.PNG, a/w.NPZ, {image: x}, "
        "{latent: b.npy, row: 2, class: 19}, {class: {a: 1, b: 0.5}, edits: {age: -1.5}}]"
    ).keyframes
    assert [(x.seed, x.number) for x in keyframes[:3]] == [(None, 3), (None, 7), (2, 31)]
    assert [x.class_name for x in keyframes[:3]] == [None, None, "Night-Skies"]
    assert [x.image for x in keyframes[3:6]] == ["art/My face.PNG", None, "x"]
    latents = [keyframes[4], keyframes[6]]
    assert [(x.latent, x.row) for x in latents] == [("a/w.NPZ", 0), ("b.npy", 2)]
    assert keyframes[6].class_name == "19"
    assert {key: float(x) for key, x in keyframes[7].class_name.items()} == {"a": 1, "b": 0.5}
    assert keyframes[7].edits == {"age": -1.5}


def test_the_command_line_takes_keyframes():
    option = read_option(
        "film.keyframes=[0, seed1_2, my.png, {number: 3, class: Night Skies, edits: {x: 1}}],"
        "film.seconds=4,film.formats=[gif, webp]"
    )
    params = check_params(FilmParams, option["film"])
    assert [x.number for x in params.keyframes] == [0, 2, None, 3]
    assert params.keyframes[3].class_name == "Night Skies"
    assert params.formats == ["gif", "webp"] and params.frames == 96


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keyframes: [art]", "as a text, a keyframe is the name of a sample such as seed0_000003"),
        ("keyframes: [{seed: 1, image: a.png}]", "is a seed and number, an image or a latent"),
        ("keyframes: [{row: 3}]", "row is that of a file of latents"),
        ("keyframes: [{edits: {age: .nan}}]", "strength of 'age' must be a number from"),
        ("keyframes: [{edits: {age: 1e30}}]", "strength of 'age' must be a number from"),
        ("keyframes: [{duration: .nan}]", "above 0"),
        ("keyframes: [{sed: 1}]", "did you mean 'seed'"),
        ("keyframes: [{number: 1, truncation: 3}]", "a number from -2.0 to 2.0"),
        ("keyframes: [{number: 1, duration: 0}]", "above 0"),
        ("keyframes: [-1]", "from 0"),
        ("keyframes: [{class: no}]", "YAML reads as true or false needs quotation marks"),
        ("keyframes: [{class: {no: 1}}]", "YAML reads as true or false needs quotation marks"),
        ("{formats: [webp, gif], fps: 60}", "GIF shows at most 50 frames a second"),
        ("{seconds: 3600, fps: 30}", "are 108000 frames, and at most 20000"),
        ("fps: 0.001", "from 0.01 to 120"),
        ("formats: [avi]", "webp"),
        ("formats: []", "film.formats|formats"),
        ("name: ../film", "must be text of letters, digits, _ and -"),
        ("style_mixing: {layers: blue}", "coarse, middle, fine"),
    ],
)
def test_a_wrong_film_is_refused_in_words(text, message):
    with pytest.raises(GanvasError, match=message) as error:
        read(text)
    print(error.value)


def test_a_single_format_needs_no_list():
    assert read("formats: mp4").formats == ["mp4"]
