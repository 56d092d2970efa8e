"""Parameters chosen for a user's folder of images."""

import json
from pathlib import Path

import numpy as np
import pytest
from kedro.framework.cli.utils import _split_params

from ganvas.base_params import check_params
from ganvas.command_line import join_params
from ganvas.errors import GanvasError
from ganvas.ingestion.channel_detection import FoundChannels
from ganvas.ingestion.collection import MANIFEST
from ganvas.ingestion.inspect_folder import FolderContents
from ganvas.own_images import choose_parameters, describe_contents, make_name
from ganvas.project_params import ProjectParams
from projects import load_config, make_loader

ART = Path("/home/ada/art")


def describe(
    path: Path = ART, images: int = 600, folders: dict[str, int] | None = None, source="folder"
) -> FolderContents:
    return FolderContents(path, source, images, folders or {"": images}, {})


def choose(
    data: Path, contents: FolderContents, folder: Path = ART, env: str | None = None, **options
) -> tuple[dict, str]:
    """Return the chosen parameters and all reasons as one text."""
    preset = make_loader(env).preset_parameters()
    choices = choose_parameters(folder, contents, data, preset=preset, **options)
    params = {key: value for choice in choices for key, value in choice.params.items()}
    return params, " ".join(choice.reason for choice in choices)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (
            30,
            {
                "train.batch_size": 16,
                "ingest.validation_share": 0,
                "ingest.test_share": 0,
                "train.checkpoint.interval": 30,
                "train.snapshot_interval": 30,
            },
        ),
        (
            60,
            {
                "train.batch_size": 16,
                "ingest.test_share": 0,
                "train.checkpoint.interval": 10,
                "train.snapshot_interval": 10,
            },
        ),
        (600, {"ingest.test_share": 0}),
        (2000, {}),
        (20_000, {"train.checkpoint.steps": 500}),
    ],
)
def test_sizes_depend_on_the_number_of_images(tmp_path, images, expected):
    params, _ = choose(tmp_path, describe(images=images))
    assert params == expected | {
        "ingest.source.name": "folder",
        "ingest.dataset": "art",
        "ingest.source.path": "/home/ada/art",
        "network.label": None,
    }


@pytest.mark.parametrize("images", [20, 60, 600, 20_000])
@pytest.mark.parametrize("env", [None, "gpu", "faces,r3gan"])
@pytest.mark.parametrize("size", [None, 32, 128, 256])
def test_all_choices_are_valid_parameters_and_batches_can_be_filled(tmp_path, images, env, size):
    options = {"size": size, "env": env, "minutes": 2.5}
    params, _ = choose(tmp_path, describe(images=images), **options)
    read = _split_params(None, None, join_params(params | {"profile": "gpu"})[len("--params=") :])
    loaded = load_config("parameters", env or "base", read)
    checked = check_params(ProjectParams, loaded)
    shares = checked.ingest.validation_share + checked.ingest.test_share
    assert checked.train.images_per_step <= images * (1 - shares)
    assert checked.ingest.size == (size or 64)
    assert checked.train.max_minutes == 2.5 and checked.train.max_steps is None


def test_limits_and_size_are_those_of_the_user(tmp_path):
    params, reasons = choose(tmp_path, describe(), size=256, steps=40, minutes=10.0, env="gpu")
    assert params["ingest.dataset"] == "art-256" and params["ingest.size"] == 256
    assert params["train.batch_size"] == 16 and params["network.projected.input_upscale"] == 1
    assert params["train.max_steps"] == 40 and params["train.max_minutes"] == 10
    assert "256×256 pixels" in reasons and "10 minutes" in reasons and "40 steps" in reasons


def test_rectangles_are_named_by_width_and_height(tmp_path):
    params, reasons = choose(tmp_path, describe(), size=(96, 64))
    assert params["ingest.dataset"] == "art-64x96" and params["ingest.size"] == [96, 64]
    assert "Size: 64×96 pixels, 64 wide and 96 high." in reasons
    read = _split_params(None, None, join_params(params)[len("--params=") :])
    checked = check_params(ProjectParams, load_config("parameters", "base", read))
    assert checked.ingest.image_shape == (96, 64, 3)


@pytest.mark.parametrize(("size", "batch"), [(256, 16), (512, 8), ((1024, 512), 8), (1024, 4)])
def test_larger_images_have_smaller_batches(tmp_path, size, batch):
    assert choose(tmp_path, describe(), size=size)[0]["train.batch_size"] == batch


@pytest.mark.parametrize("suited", ["gray", "rgba"])
def test_channels_are_those_of_most_images_unless_they_are_chosen(tmp_path, suited):
    contents = describe()._replace(found=FoundChannels(suited, "39 of 40 images are so"))
    params, reasons = choose(tmp_path, contents)
    assert params["ingest.channels"] == suited and params["ingest.dataset"] == f"art-{suited}"
    assert f"Channels: {suited}, since 39 of 40 images are so; --channels rgb " in reasons
    params, reasons = choose(tmp_path, contents, channels="rgb")
    assert (params["ingest.channels"], params["ingest.dataset"]) == ("rgb", "art")
    # Presets train known systems, or choose themselves.
    assert "ingest.channels" not in choose(tmp_path, contents, env="faces")[0]
    named = choose(tmp_path, describe(), channels=suited, size=128)[0]
    assert named["ingest.channels"] == suited and named["ingest.dataset"] == f"art-128-{suited}"
    assert "ingest.channels" not in choose(tmp_path, describe())[0]


def test_a_folder_that_was_packed_in_color_stays_so(tmp_path):
    contents = describe()._replace(found=FoundChannels("gray", "all are gray"))
    pack(tmp_path, "art", str(ART))
    shard = tmp_path / "03_primary/art/collection/images-00000.npy"
    for channels, expected in ((3, ("rgb", "art")), (1, ("gray", "art-gray"))):
        np.save(shard, np.zeros((2, 64, 64, channels), np.uint8))
        params, _ = choose(tmp_path, contents)
        assert (params["ingest.channels"], params["ingest.dataset"]) == expected
    np.save(shard, np.zeros((2, 64, 64, 3), np.uint8))
    assert (
        "as packed before, although all are gray; --channels gray"
        in (choose(tmp_path, contents)[1])
    )


@pytest.mark.parametrize(
    ("folders", "label", "reason"),
    [
        ({"": 60}, None, "there are no subfolders"),
        ({"cats": 30, "dogs": 30}, "class", "Classes: the 2 subfolders"),
        ({"cats": 30, "dogs": 26, "": 4}, "class", "4 images are in none of them and not trained"),
        ({"cats": 29, "dogs": 30, "": 1}, "class", "1 image is in none of them and not trained"),
        ({"cats": 30, "dogs": 20, "": 10}, None, "too few images are in subfolders of 10 or more"),
        ({"cats": 55, "dogs": 5}, None, "too few images are in subfolders of 10 or more"),
        ({"cats": 60}, None, "too few images"),
        ({"Train": 40, "test": 20}, None, "the subfolders are splits (Train, test)"),
    ],
)
def test_sub_folders_are_classes_if_most_images_are_in_large_ones(tmp_path, folders, label, reason):
    params, reasons = choose(tmp_path, describe(images=60, folders=folders))
    assert params["network.label"] == label and reason in reasons


def test_labels_can_be_chosen(tmp_path):
    few = describe(images=60, folders={"cats": 55, "dogs": 5})
    assert choose(tmp_path, few, labels="folders")[0]["network.label"] == "class"
    many = describe(images=60, folders={"cats": 30, "dogs": 30})
    assert choose(tmp_path, many, labels="none")[0]["network.label"] is None
    with pytest.raises(GanvasError, match="--labels folders needs two or more subfolders"):
        choose(tmp_path, describe(), labels="folders")


def test_label_columns_are_chosen_by_name(tmp_path):
    table = describe()._replace(others={".csv": 1})
    params, reasons = choose(tmp_path, table, labels="hue, shape")
    assert params["network.label"] == ["hue", "shape"]
    assert params["ingest.source.folder.labels"] == "csv"
    assert "Labels: hue, shape, each with a choice of its own." in reasons
    assert choose(tmp_path, table, labels="hue")[0]["network.label"] == "hue"
    folders = choose(tmp_path, describe(), labels="class")[0]
    assert folders["network.label"] == "class" and "ingest.source.folder.labels" not in folders
    for labels, message in (("hue,", "--labels can't be 'hue,'"), ("folder", "no table of labels")):
        with pytest.raises(GanvasError, match=message):
            choose(tmp_path, describe(), labels=labels)


def test_attributes_of_celeba_are_known_before_images_are_packed(tmp_path):
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    contents = describe(folder, 4000, source="celeba")
    with pytest.raises(GanvasError, match=r"has no list of attributes: put list_attr_celeba\.txt"):
        choose(tmp_path / "data", contents, labels="Smiling")
    (folder / "list_attr_celeba.txt").write_text("1\nSmiling Young\n000001.jpg 1 -1\n")
    params, _ = choose(tmp_path / "data", contents, labels="Smiling,Young")
    assert params["network.label"] == ["Smiling", "Young"]
    with pytest.raises(GanvasError, match=r"has Nose, but .* has Smiling, Young: choose among"):
        choose(tmp_path / "data", contents, labels="Smiling,Nose")


def test_a_preset_chooses_classes_itself_unless_told(tmp_path):
    contents = describe(images=60, folders={"cats": 30, "dogs": 30})
    assert "network.label" not in choose(tmp_path, contents, env="faces")[0]
    for env in ("gpu", "faces,gpu"):
        assert choose(tmp_path, contents, env=env)[0]["network.label"] == "class"
    named = choose(tmp_path, contents, env="faces", labels="folders")[0]
    assert named["network.label"] == "class"


@pytest.mark.parametrize(
    ("source", "label", "text"),
    [
        ("artworks", "artist", "the layout of Best Artworks of All Time; --env=artworks"),
        ("wikiart", "style", "the lists of WikiArt; --env=wikiart"),
        ("celeba", None, "the layout of CelebA; --env=celeba"),
    ],
)
def test_known_layouts_have_their_source_and_labels(tmp_path, source, label, text):
    contents = describe(images=4000, folders={"a": 2000, "b": 2000}, source=source)
    params, _ = choose(tmp_path, contents)
    assert params["ingest.source.name"] == source and params["network.label"] == label
    assert text in describe_contents(ART, contents)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/home/ada/art", "art"),
        ("/home/ada/My Pictures (2024)", "My-Pictures-2024"),
        ("/home/ada/Été à Paris, 2.", "Ete-a-Paris-2"),
        ("/home/ada/cats/images", "cats-images"),
        ("/home/ada/絵画", "images"),
        ("/home/ada/.-_hidden_", "hidden"),
        ("/", "images"),
        ("/home/ada/" + 50 * "ab ", (30 * "ab-")[:59]),
    ],
)
def test_a_dataset_is_named_after_its_folder(folder, name):
    assert make_name(Path(folder)) == name
    params = {"ingest": {"dataset": name}}
    assert check_params(ProjectParams, load_config("parameters", "base", params))


def pack(data: Path, name: str, source: str | None) -> None:
    """Write the manifest of a packed collection; without a source, of an earlier version."""
    folder = data / "03_primary" / name / "collection"
    folder.mkdir(parents=True)
    content = {"fingerprint": "…"} | ({"source": source} if source else {})
    (folder / MANIFEST).write_text(json.dumps(content))


def test_another_folder_of_the_same_name_gets_another_dataset(tmp_path):
    mine, other = tmp_path / "mine" / "art", tmp_path / "other" / "art"
    mine.mkdir(parents=True)
    (tmp_path / "link").symlink_to(mine)
    data = tmp_path / "data"

    def name(folder, **options):
        params, reasons = choose(data, describe(folder), folder, **options)
        return params["ingest.dataset"], reasons

    assert name(mine)[0] == "art"
    pack(data, "art", str(tmp_path / "link"))
    assert name(mine)[0] == "art"
    number, reasons = name(other)
    assert number == "art-2" and f"since data/…/art/ is for {tmp_path / 'link'}" in reasons
    pack(data, "art-2", str(other))
    assert name(other)[0] == "art-2" and name(mine)[0] == "art"
    assert name(tmp_path / "third" / "art")[0] == "art-3"
    # The user may insist, and is told what is replaced.
    number, reasons = name(other, name="art")
    assert number == "art" and "its packed images and its report are replaced" in reasons
    assert "replaced" not in name(mine, name="art")[1]


def test_a_folder_keeps_its_dataset_when_it_gets_a_second_sub_folder(tmp_path):
    pack(tmp_path, "art", "/home/ada/art/images")
    for path in (ART / "images", ART):
        assert choose(tmp_path, describe(path))[0]["ingest.dataset"] == "art"


def test_data_of_earlier_versions_are_not_replaced(tmp_path):
    # A collection without a record of its folder, and a training without a collection.
    pack(tmp_path, "art", None)
    assert choose(tmp_path, describe())[0]["ingest.dataset"] == "art-2"
    summary = tmp_path / "08_reporting/art/projected/training.json"
    summary.parent.mkdir(parents=True)
    for path, name in {"/home/ada/art": "art", "/elsewhere/art": "art-2"}.items():
        parameters = {"ingest": {"source": {"path": path}}}
        summary.write_text(json.dumps({"parameters": parameters}))
        assert choose(tmp_path, describe())[0]["ingest.dataset"] == name
    summary.write_text("{")
    assert choose(tmp_path, describe())[0]["ingest.dataset"] == "art-2"


@pytest.mark.parametrize("name", ["sample", "artworks", "wikiart", "celeba", "leaderboard"])
def test_names_that_other_data_have_are_not_taken(tmp_path, name):
    folder = Path("/home/ada") / name
    params, reasons = choose(tmp_path, describe(folder), folder)
    assert params["ingest.dataset"] == f"{name}-2" and name in reasons


@pytest.mark.parametrize("name", ["my art", "", "-x", "a/b", "ü"])
def test_a_name_that_is_no_folder_is_refused(tmp_path, name):
    with pytest.raises(GanvasError, match=r"--name can't be .* letters, digits, _ and -"):
        choose(tmp_path, describe(), name=name)


def test_results_are_not_written_among_the_images(tmp_path):
    with pytest.raises(GanvasError, match=r"among the images of .*: run the command in another"):
        choose(tmp_path / "data", describe(tmp_path), tmp_path)
