"""Rules between groups of parameters, and the folders that parameters choose."""

import pytest

from ganvas.base_params import check_params
from ganvas.errors import GanvasError
from ganvas.networks import NetworkParams
from ganvas.pipelines.train.params import KID_EXTRACTOR
from ganvas.project_params import ProjectParams
from projects import load_config


@pytest.mark.parametrize(
    ("env", "dataset", "source", "network"),
    [
        ("artworks", "artworks", "data/01_raw/artworks", "dcgan"),
        ("wikiart", "wikiart", "data/01_raw/wikiart", "artgan"),
        ("celeba", "celeba", "data/01_raw/celeba", "dcgan"),
        ("faces", "faces", "data/01_raw/faces", "dcgan"),
        ("keras_faces", "keras_faces", "data/01_raw/faces", "dcgan"),
        ("r3gan", "sample", "data/01_raw/sample", "r3gan"),
    ],
)
def test_each_preset_has_its_own_folders(env, dataset, source, network):
    preset = check_params(ProjectParams, load_config("parameters", env))
    mirror = f"data/01_raw/{dataset}"
    expected = {"dataset": dataset, "source": source, "network": network, "mirror": mirror}
    # Without images to evaluate, their folder has no name.
    assert preset.choices() == expected | {"images": "none", "against": dataset}


@pytest.mark.parametrize("labels", ["genre", "artist"])
def test_wikiart_with_other_labels_has_its_own_folder(labels):
    params = {"ingest": {"source": {"wikiart": {"labels": labels}}}}
    chosen = check_params(ProjectParams, load_config("parameters", "wikiart", params)).choices()
    assert chosen["dataset"] == f"wikiart_by_{labels}"
    assert chosen["source"] == "data/01_raw/wikiart"


@pytest.mark.parametrize(
    ("source", "label", "folder"),
    [
        ("sample", "auto", "projected_by_genre"),
        ("folder", "auto", "projected"),
        ("sample", None, "projected"),
        ("sample", "artist", "projected_by_artist"),
        ("folder", "class", "projected_by_class"),
        ("celeba", ["Smiling"], "projected_by_Smiling"),
        ("celeba", ["Smiling", "Eyeglasses"], "projected_by_Smiling_Eyeglasses"),
        ("folder", ["fine art", "class"], "projected_by_2_labels_8ae63f9b"),
        ("celeba", [f"A_{number}" for number in range(40)], "projected_by_40_labels_45a132bd"),
    ],
)
def test_only_the_sample_collection_is_class_conditional_by_default(source, label, folder):
    raw = load_config("parameters")
    raw["ingest"]["source"]["name"] = source
    raw["network"]["label"] = label
    assert check_params(ProjectParams, raw).choices()["network"] == folder


@pytest.mark.parametrize(
    ("label", "name", "message"),
    [
        ([], "projected", "names 0 columns, and must name 1 to 64, or be null"),
        (["a"] * 65, "projected", "names 65 columns"),
        (["a", "b", "a"], "projected", "names a more than once"),
        (["auto", "b"], "projected", "can't have auto among several columns"),
        (["a/b", "c"], "projected", "list of text without slashes and dots"),
        (["a", "b"], "artgan", "artgan classifies images by one label column, and .* has 2"),
    ],
)
def test_lists_of_labels_that_can_not_be_trained_are_refused(label, name, message):
    with pytest.raises(GanvasError, match=message):
        check_params(NetworkParams, {"name": name, "label": label})


def test_the_backbone_of_the_discriminator_can_not_be_the_feature_extractor():
    raw = load_config("parameters")
    check_params(ProjectParams, raw)
    same = raw | {"evaluate": raw["evaluate"] | {"extractor": "efficientnet_lite0"}}
    with pytest.raises(
        GanvasError, match=r"would be biased: set evaluate\.extractor=efficientnet_lite2"
    ):
        check_params(ProjectParams, same)
    # Epochs are compared by another network, for every discriminator.
    raw["train"]["kid_validation"]["interval"] = 5
    check_params(ProjectParams, raw)


def test_the_chosen_backbone_excludes_the_same_network_for_metrics_and_for_selection():
    lite1 = {"network__projected__backbone": KID_EXTRACTOR}
    check_with(**lite1, evaluate__extractor="efficientnet_lite0")
    with pytest.raises(GanvasError, match=r"backbone is efficientnet_lite1, and evaluate\.extract"):
        check_with(**lite1, evaluate__extractor="efficientnet_lite1")
    with pytest.raises(GanvasError, match=r"network\.projected\.backbone=efficientnet_lite0, or "):
        check_with(**lite1, train__kid_validation__interval=5)
    # Networks without a backbone ignore it.
    check_with(**lite1, network__name="r3gan", train__kid_validation__interval=5)


def test_the_network_that_selects_the_best_epoch_can_not_be_the_feature_extractor():
    raw = load_config("parameters")
    raw["evaluate"]["extractor"] = "efficientnet_lite1"
    check_params(ProjectParams, raw)
    raw["train"]["kid_validation"]["interval"] = 5
    with pytest.raises(
        GanvasError, match=r"selects the best epoch.*: set evaluate\.extractor=efficientnet_lite2"
    ):
        check_params(ProjectParams, raw)


def test_the_inception_extractor_needs_its_weights_file():
    raw = load_config("parameters")
    raw["evaluate"]["extractor"] = "inception"
    with pytest.raises(GanvasError, match=r"in 'evaluate' don't go together: .*6726825d\.pth"):
        check_params(ProjectParams, raw)
    raw["evaluate"]["weights"] = "here.pth"
    assert check_params(ProjectParams, raw).evaluate.weights == "here.pth"
    raw["evaluate"]["extractor"] = "VGG"
    with pytest.raises(GanvasError, match=r"'evaluate.extractor' can't be 'VGG': allowed are "):
        check_params(ProjectParams, raw)


def check_with(**changes: object) -> ProjectParams:
    """Check conf/base with changes by key, of which two underscores stand for a dot."""
    params = {key.replace("__", "."): value for key, value in changes.items()}
    tree = load_config("parameters")
    for key, value in params.items():
        *parents, last = key.split(".")
        group = tree
        for name in parents:
            group = group[name]
        group[last] = value
    return check_params(ProjectParams, tree)


def test_anchors_are_checked_for_a_network_that_has_them_alone():
    odd = {"train__batch_size": 7}
    assert check_with(network__name="dcgan", **odd).train.batch_size == 7
    assert check_with(network__name="r3gan", train__simultaneous_updates=False).train.anchor.every
    with pytest.raises(GanvasError, match=r"one anchor in every 2 images: set train\.anchor"):
        check_with(network__name="projected", **odd)
    with pytest.raises(GanvasError, match=r"every=2 needs train\.simultaneous_updates=true"):
        check_with(network__name="projected", train__simultaneous_updates=False)


@pytest.mark.parametrize("name", ["r1", "r2", "wgan_gp"])
def test_a_gradient_penalty_is_refused_before_a_run_if_the_discriminator_has_batch_norm(name):
    penalty = {f"train__penalty__{name}": 1.0}
    for network in ("dcgan", "artgan"):
        with pytest.raises(GanvasError, match=rf"train\.penalty\.{name} can't be used with batch"):
            check_with(network__name=network, **penalty)
    for allowed in (
        {"network__name": "r3gan"},
        {"network__name": "projected"},
        {"network__name": "dcgan", "network__dcgan__discriminator_norm": "none"},
    ):
        check_with(**allowed, **penalty)


def test_widths_that_do_not_fit_the_size_are_refused_before_a_run():
    widths = {"network__dcgan__discriminator_widths": [8, 16]}
    with pytest.raises(GanvasError, match="images of 64 pixels need 4 widths"):
        check_with(network__name="dcgan", **widths)
    with pytest.raises(
        GanvasError, match=r"64×96 pixels .*, for feature maps of sizes 32×48, 16×24"
    ):
        check_with(network__name="dcgan", ingest__size=[96, 64], **widths)
    check_with(network__name="projected", **widths)


def test_a_scale_of_the_backbone_that_does_not_fit_the_size_is_refused_before_a_run():
    scale = {"network__projected__input_upscale": 0.5}
    check_with(ingest__size=[512, 384], **scale)
    with pytest.raises(GanvasError, match=r"480×480 pixels would be 240×240 .*; set 1, 2, 4 or 8"):
        check_with(ingest__size=480, **scale)


def test_path_lengths_are_regularized_for_networks_with_styles_alone():
    raw = load_config("parameters")
    raw["train"]["path_length"]["weight"] = 2
    with pytest.raises(GanvasError, match=r"weight=2 regularizes .* network\.name=stylegan2"):
        check_params(ProjectParams, raw)
    raw["network"]["name"] = "stylegan2"
    assert check_params(ProjectParams, raw).train.path_length.weight == 2


def test_r1_auto_is_a_number_once_size_and_batch_are_known():
    raw = load_config("parameters")
    raw["network"]["name"] = "stylegan2"
    raw["ingest"]["size"] = [64, 128]
    raw["train"] |= {"batch_size": 32, "penalty": {"r1": "auto", "interval": 16}}
    assert check_params(ProjectParams, raw).train.penalty.r1 == pytest.approx(0.0512)
