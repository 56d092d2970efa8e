"""Directions are found, named, kept and drawn; generators are linear, so that these are known."""

import numpy as np
import pandas as pd
import pytest

from ganvas.errors import GanvasError
from ganvas.ingestion.collection import Collection
from ganvas.latents.direction_effects import make_probes
from ganvas.latents.directions import from_arrays, to_arrays
from ganvas.latents.latent_samples import LatentSamples, sample_w
from ganvas.latents.supervised import split_attribute
from ganvas.networks.config import Stylegan2Params
from ganvas.networks.image_encoder import FeatureProjection, ImageEncoder
from ganvas.networks.image_encoder import to_arrays as to_encoder_arrays
from ganvas.networks.sampling import generate_images, sample_latents
from ganvas.networks.stylegan2 import build_stylegan2
from ganvas.pipelines.directions.labels import read_labels
from ganvas.pipelines.directions.nodes import _try, draw_directions, find_directions
from ganvas.pipelines.directions.params import DirectionsParams
from ganvas.pipelines.directions.supervision import Found, Supervision, _encode, find_supervised
from ganvas.pipelines.evaluate.params import EvaluateParams
from ganvas.visualization.image_tables import split_truncation_sweep
from linear_generators import build_linear, make_matrix

NO_CLASSES = {"names": [], "column": None}
EVALUATE = EvaluateParams(extractor=None)


@pytest.fixture(scope="module")
def generator():
    return build_linear(make_matrix())


def find(generator, kept=None, classes=NO_CLASSES, folder=None, **params):
    given = DirectionsParams(**({"samples": 512} | params))
    kept = to_arrays(kept or [])
    arrays = find_directions(generator, classes, kept, {}, folder, given, EVALUATE)
    return from_arrays(arrays)


def test_a_run_adds_to_the_directions_and_replaces_those_of_the_same_name(generator):
    first = find(generator, count=2)
    assert [x.name for x in first] == ["ganspace_1", "ganspace_2"]
    both = find(generator, first, method=["sefa"], count=1, names=["main"])
    assert [x.name for x in both] == ["ganspace_1", "ganspace_2", "main"]
    np.testing.assert_array_equal(both[1].vector, first[1].vector)
    again = find(generator, both, count=1, seed=7)
    assert [x.name for x in again] == ["ganspace_1", "ganspace_2", "main"]
    assert again[0].about["seed"] == 7 and again[1].about["seed"] == 0
    assert both[0].effect == both[0].about["pixel_distance"] > 0
    assert both[0].low < -1.5 < 1.5 < both[0].high


def test_directions_are_renamed_and_removed_without_finding_others(generator):
    kept = find(generator, count=3)
    renamed = find(generator, kept, rename={"ganspace_1": "turn"}, remove=["ganspace_3"])
    assert [x.name for x in renamed] == ["turn", "ganspace_2"]
    assert find(generator, kept, remove=[x.name for x in kept]) == []
    # As a command's `directions.rename.genre=night=dark` is read.
    kept = [kept[0]._replace(name="genre=night"), kept[1]]
    renamed = find(generator, kept, rename={"genre": "night=dark"})
    assert [x.name for x in renamed] == ["dark", "ganspace_2"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"remove": ["ganspac_1"]}, "did you mean 'ganspace_1'"),
        ({"rename": {"x": "y"}}, "this generator has ganspace_1, ganspace_2"),
        ({"rename": {"ganspace_1": "ganspace_2"}}, "makes two directions 'ganspace_2'"),
        ({"count": 1, "names": ["a", "b"]}, "has 2 names, but this run finds 1 direction:"),
        ({"layers": "fine"}, "needs a generator with styles"),
        ({"measure": "warmth"}, "is the same for all generated images"),
        ({"measure": "contrast", "orthogonal_to": ["q"]}, "orthogonal_to has 'q'"),
        ({"column": "genre"}, r"evaluate\.extractor is null"),
    ],
)
def test_mistakes_are_one_sentence(generator, params, message):
    kept = find(generator, count=2)
    with pytest.raises(GanvasError, match=message):
        find(generator, kept, **params)


def test_a_measure_gets_a_direction_that_changes_it_alone(generator):
    (found,) = find(generator, measure="brightness")
    # Brightness is the mean of the levels: its gradient is the mean of A's rows.
    gradient = make_matrix().mean(axis=1)
    expected = gradient / np.linalg.norm(gradient)
    assert found.vector @ expected / np.linalg.norm(found.vector) > 0.99
    # Levels in [-1, 1] are twice as far apart as those in [0, 1].
    assert found.effect == pytest.approx(np.linalg.norm(gradient) / 2, rel=0.1)
    assert found.about["score"] > 0.95 and found.about["rising"] == 1
    other, found = find(generator, [found], measure="contrast", orthogonal_to=["brightness"])
    assert abs(other.vector @ found.vector) < 1e-6


def test_labels_are_learned_from_real_images_and_found_in_generated_ones(generator):
    images = generate_images(generator, sample_latents(generator, 300, seed=4))
    bright = images.mean(axis=(1, 2, 3))
    texts = np.where(bright > np.median(bright), "yes", "no").astype(object)
    samples = sample_w(generator, np.zeros((0, 0)), 512, seed=1)

    def features(x):
        return np.asarray(x)[:, ::2, ::2].reshape(len(x), -1).astype(float)

    supervision = Supervision(generator, samples, None, [], features)
    attributes = split_attribute("bright", texts)
    (found,) = supervision.find_of_labels(attributes, features(images), None)
    expected = make_matrix().mean(axis=1)
    length = np.linalg.norm(found.vector) * np.linalg.norm(expected)
    assert found.name == "bright" and found.vector @ expected / length > 0.9
    assert found.about["recognized"] > 0.9
    # Or from the latents of the real images themselves.
    w = sample_latents(generator, 300, seed=4)
    (found,) = supervision.find_of_labels(attributes, features(images), w)
    length = np.linalg.norm(found.vector) * np.linalg.norm(expected)
    assert found.vector @ expected / length > 0.9 and found.about["pairs"] == "encoded"
    probes = make_probes(generator, np.zeros((0, 0)), 3)
    edited = probes.edit(found.vector, [-1, 1])
    rises = found.attribute(edited[:, 1]) > found.attribute(edited[:, 0])
    assert rises.mean() > 0.9


def test_columns_are_checked_first_and_share_their_features(generator, monkeypatch):
    labels = {"a": ["x", "y"] * 20, "b": ["x"] * 40, "c": ["x"] * 20 + ["y"] * 20}
    index = pd.DataFrame({"path": [f"{number}.png" for number in range(40)]} | labels)
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    packed = Collection(images, index, pd.DataFrame())
    monkeypatch.setattr("ganvas.pipelines.directions.supervision._open", lambda folder: packed)
    samples, counts = sample_w(generator, np.zeros((0, 0)), 256, seed=1), []

    def features(x):
        counts.append(len(x))
        return np.stack([np.ravel(x[number])[:9] for number in range(len(x))]).astype(float)

    def find_columns(*columns):
        params = DirectionsParams(column=list(columns))
        return find_supervised(generator, samples, None, [], features, {}, None, params)

    with pytest.raises(GanvasError, match="'b' has too few images of different values"):
        find_columns("a", "b")
    assert not counts
    assert [found.name for found in find_columns("a", "c")] == ["a=y", "c=y"]
    assert counts == [40, 256]


def test_an_encoder_that_does_not_fit_is_refused(generator):
    images = np.zeros((2, 8, 8, 1), np.uint8)
    counts = np.array([1])
    projection = FeatureProjection(np.zeros(1), np.ones(1), counts, np.zeros((1, 2)), np.zeros(2))
    other = ImageEncoder("efficientnet_lite0", 4.0, (8, 8, 1), (5,), projection)
    for encoder, message in (
        ({}, "it has none: make one"),
        (to_encoder_arrays(other), r"that of another generator\): delete it"),
        ({"matrix": np.zeros(2)}, r"are no encoder: 'backbone'\): delete it"),
    ):
        with pytest.raises(GanvasError, match=message):
            _encode(encoder, generator, images)


def test_each_direction_has_a_strip_and_a_row_of_the_overview():
    generator = build_linear(make_matrix(), classes=2)
    classes = {"names": ["day", "night"], "column": "time"}
    kept = find(generator, classes=classes, count=2)
    params = DirectionsParams(rows=2, columns=5)
    strips, overview = draw_directions(generator, classes, to_arrays(kept), params)
    drawn = dict(strips)
    assert list(drawn) == ["ganspace_1", "ganspace_2"]
    images = split_truncation_sweep(drawn["ganspace_1"], (8, 8), 5)
    # The middle column has the images of the seed, of one class after the other.
    latents = sample_latents(generator, 2, seed=0)
    expected = generate_images(generator, latents, np.eye(2, dtype=np.float32))
    np.testing.assert_array_equal(images[:, 2], expected.repeat(3, axis=3))
    assert (images[:, 0] != images[:, 4]).any()
    assert overview.shape[0] < drawn["ganspace_1"].shape[0] * 2 and overview.size
    strips, overview = draw_directions(generator, classes, {}, params)
    assert dict(strips) == {} and overview.size == 0


def test_directions_of_another_generator_are_refused(generator):
    kept = find(build_linear(make_matrix(5)), count=1)
    with pytest.raises(GanvasError, match="of another generator"):
        find(generator, kept)


def test_stylegan2s_directions_act_in_the_chosen_layers():
    params = Stylegan2Params(channel_base=256, max_width=8, latent=6, style=6, mapping_layers=1)
    generator = build_stylegan2(params, (16, 16, 3)).generator
    for method in ("ganspace", "sefa"):
        (found,) = find(generator, method=method, count=1, layers="coarse")
        assert found.vector.shape == (6, 6)
        assert not found.vector[4:].any() and (found.vector[0] == found.vector[3]).all()
        assert found.about["layers"] == "coarse"


def test_labels_are_those_of_the_collection_or_of_a_table(tmp_path):
    index = pd.DataFrame({"path": ["a/1.jpg", "a/2.jpg", "b/3.jpg"], "genre": ["x", None, "y"]})
    assert read_labels(index, ["genre"], None)["genre"].tolist() == ["x", "", "y"]
    table = tmp_path / "labels.csv"
    table.write_text("image_id;Smiling\n3.jpg;1\n1.jpg;-1\n9.jpg;1\n")
    assert read_labels(index, ["Smiling"], str(table))["Smiling"].tolist() == ["-1", "", "1"]
    table.write_text("file,Smiling\nx.jpg,1\n")
    with pytest.raises(GanvasError, match="names no image"):
        read_labels(index, ["Smiling"], str(table))
    table.write_text("file,Smiling\nb/3.jpg,1\na/1.jpg,-1\nc/9.jpg,1\n")
    assert read_labels(index, ["Smiling"], str(table))["Smiling"].tolist() == ["-1", "", "1"]
    with pytest.raises(GanvasError, match=r"'smiling' \(did you mean 'Smiling'\?\).*Smiling"):
        read_labels(index, ["smiling"], str(table))
    with pytest.raises(GanvasError, match="the collection are genre"):
        read_labels(index, ["Smiling"], None)
    with pytest.raises(GanvasError, match="no such file"):
        read_labels(index, ["Smiling"], str(tmp_path / "no.csv"))
    table.write_text("name,Smiling\nb/3.jpg,1\n")
    with pytest.raises(GanvasError, match="one must have the names of the images"):
        read_labels(index, ["Smiling"], str(table))


def test_celebas_list_of_attributes_is_a_table(tmp_path):
    index = pd.DataFrame({"path": ["img_align_celeba/000001.jpg", "img_align_celeba/000002.jpg"]})
    table = tmp_path / "list_attr_celeba.txt"
    table.write_text("2\nSmiling Young \n000001.jpg  1 -1\n000002.jpg -1 -1\n")
    assert read_labels(index, ["Smiling"], str(table))["Smiling"].tolist() == ["yes", "no"]
    table.write_text("2\nSmiling Young \n000001.jpg  1 5\n")
    with pytest.raises(GanvasError, match="Line 3"):
        read_labels(index, ["Smiling"], str(table))


def test_a_direction_without_length_is_not_saved():
    latents = LatentSamples(np.ones((4, 2), np.float32), np.zeros((4, 0)), np.zeros(4), (2,))
    for vector in (np.zeros(2), np.array([np.nan, 1])):
        found = Found("age", "supervised", vector, {})
        with pytest.raises(GanvasError, match="'age' has no direction"):
            _try(None, latents, found, DirectionsParams())
