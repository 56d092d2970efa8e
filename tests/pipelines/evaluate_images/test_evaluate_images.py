"""Evaluation of images of other programs: what is compared, and a whole run."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion.image_sets import ImageSet
from ganvas.pipelines.evaluate.feature_metrics import extract_features
from ganvas.pipelines.evaluate.params import EvaluateParams, name_folder
from ganvas.pipelines.evaluate.pyramid_metrics import measure_sliced_wasserstein
from ganvas.pipelines.evaluate_images.nodes import (
    _match_classes,
    make_images_entry,
    read_images,
    write_images_report,
)
from ganvas.pipelines.evaluate_images.nodes import join_image_metrics as join
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.record_schemas import check_leaderboard_entry, check_metrics

rng = np.random.default_rng(0)
OURS, OTHERS = rng.integers(0, 256, (2, 40, 16, 16, 3), np.uint8)


@pytest.fixture
def files(tmp_path):
    for name, images in (("ours", OURS), ("others", OTHERS)):
        np.savez(tmp_path / f"{name}.npz", images=images)
    return tmp_path


def read(folder, **params):
    given = {"images": str(folder / "ours.npz"), "against": str(folder / "others.npz")} | params
    params = EvaluateParams(extractor=None, **given)
    return params, *read_images(folder / "collection", folder / "cache", params, IngestParams())


def test_images_are_chosen_by_the_seed_up_to_count_and_real(files):
    _, images, _, reference, _, _ = read(files, count=15, real=25)
    assert images.shape == (15, 16, 16, 3) and len(reference.images) == 25
    assert {image.tobytes() for image in images} < {image.tobytes() for image in OURS}
    again, other = (read(files, count=15, seed=seed)[1] for seed in (0, 1))
    np.testing.assert_array_equal(images, again)
    assert (images != other).any()
    # All images of the other side take part in the protocol of papers.
    assert len(read(files, real=25, protocol="all")[3].images) == 40


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"against": None}, "There is no collection in .*collection to compare with: create it by"),
        ({"count": 9}, "evaluate.images has 9 images that can be used .*metrics need 10 or more"),
        ({"real": 19}, "evaluate.against has 19 images .*metrics need 20 or more"),
    ],
)
def test_missing_collections_and_too_few_images_stop_before_any_work(params, message, files):
    with pytest.raises(GanvasError, match=message):
        read(files, **params)


@pytest.mark.parametrize(
    ("shapes", "shape"),
    [
        (((24, 16, 3), (24, 16, 3)), (24, 16, 3)),
        (((24, 16, 3), (48, 32, 3)), (24, 16, 3)),
        (((24, 16, 3), (16, 24, 3)), (16, 16, 3)),
        (((16, 16, 1), (16, 16, 1)), (16, 16, 1)),
        (((16, 16, 4), (32, 32, 4)), (16, 16, 4)),
        (((16, 16, 4), (16, 16, 1)), (16, 16, 3)),
    ],
)
def test_two_sets_are_compared_in_the_shape_that_both_can_have(shapes, shape, files):
    for name, own in zip(("ours", "others"), shapes, strict=True):
        images = rng.integers(0, 256, (20, *own), np.uint8)
        np.savez(files / f"{name}.npz", images=images)
    params, images, _, reference, _, _ = read(files)
    assert images.shape == reference.images.shape == (20, *shape)
    features = extract_features(images, reference, params)
    metrics = measure_sliced_wasserstein(images, features, reference, params)
    page = write_images_report(
        images,
        np.zeros(20, int),
        reference,
        features,
        np.empty((0, 0, 3), np.uint8),
        join(params, IngestParams(), metrics),
        pd.DataFrame(),
        params,
        IngestParams(),
    )
    assert page.count("<img src=") == 40


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("P", 3), ("RGBA", 4), ("I;16", 1)])
def test_the_channels_of_a_folder_are_those_of_its_first_image(mode, channels, tmp_path):
    for name in ("ours", "others"):
        (tmp_path / name).mkdir()
        for number in range(20):
            pixels = Image.fromarray(rng.integers(0, 256, (16, 20), np.uint8))
            pixels.convert(mode).save(tmp_path / name / f"{number}.png")
    folders = {"images": str(tmp_path / "ours"), "against": str(tmp_path / "others")}
    _, images, _, reference, _, _ = read(tmp_path, **folders)
    assert images.shape == reference.images.shape == (20, 16, 20, channels)


def test_images_against_nothing_are_refused():
    with pytest.raises(ValueError, match="against is set, but images is null"):
        EvaluateParams(against="art")
    with pytest.raises(ValueError, match="download the images that are at a URL"):
        EvaluateParams(images="s3://bucket/art")


def test_a_comparison_without_a_collection_has_metrics_and_an_entry(files):
    params, images, classes, reference, _, rejected = read(files)
    features = extract_features(images, reference, params)
    metrics = measure_sliced_wasserstein(images, features, reference, params)
    metrics = join(params, IngestParams(), metrics)
    check_metrics(metrics)
    metric = metrics["sliced_wasserstein_distance"]
    assert "N=20 a side" in metric["protocol"] and rejected.empty
    assert metric["protocol"].endswith(f"in place of training images: {files}/others.npz")
    assert metric["value"] == np.mean(list(metric["by_level"].values()))
    # Noise is as far from noise as its halves are.
    assert metric["value"] == pytest.approx(metric["real"], rel=0.25)

    entries, grids = make_images_entry(metrics, images, classes, features, params, IngestParams())
    ((run, entry),) = entries.items()
    check_leaderboard_entry(entry)
    assert entry["network"] == "images: ours" and list(grids) == [run]
    # Not comparable with runs of a collection that is called "others".
    assert entry["dataset"] == "images of others" and run.startswith("against-others-")
    assert name_folder(params.images) in run and entry["parameters"] == {
        "evaluate.images": params.images
    }


def test_folders_of_equal_names_have_results_of_their_own(tmp_path):
    names = [name_folder(str(tmp_path / parent / "My samples.tar.gz")) for parent in "ab"]
    assert len(set(names)) == 2 and all(name.startswith("My_samples-") for name in names)


def test_folders_are_classes_only_if_all_of_them_are():
    index = pd.DataFrame({"path": "", "genre": ["sea", "sky"] * 9, "split": "train", "hash": ""})

    def match(folders):
        labels = pd.DataFrame({"path": "", "class": folders})
        return _match_classes(ImageSet(OURS, labels, pd.DataFrame()), index)

    class_list, classes = match(["sky", "sea", "sky"])
    assert class_list == {"column": "genre", "names": ["sea", "sky"]}
    assert classes.tolist() == [1, 0, 1]
    for folders in (["sky", "sea", "dog"], ["sky", ""], ["", ""], ["a", "b"]):
        class_list, classes = match(folders)
        assert class_list == {"column": None, "names": []} and not classes.any()


@pytest.mark.slow
def test_a_run_compares_images_with_the_collection_and_with_each_other(project, kedro_run):
    assert kedro_run("--pipelines=ingest").exit_code == 0
    index = pd.read_parquet(project / "data/03_primary/sample/image_index.parquet")
    packed = np.load(project / "data/03_primary/sample/collection/images-00000.npy")
    for row, pixels in zip(index.itertuples(), packed, strict=True):
        file = project / "theirs" / row.genre / f"{row.Index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    np.savez(project / "theirs.npz", images=packed)
    result = kedro_run("--pipelines=evaluate_images", evaluate__images="theirs")
    assert result.exit_code == 0, result.output
    (folder,) = project.glob("data/08_reporting/images/theirs-*/sample")
    metrics = json.loads((folder / "metrics.json").read_text())
    # Most of the images are training images.
    nearest = metrics["nearest_training_distance"]
    assert nearest["value"] < nearest["real"] / 2
    report = (folder / "report.html").read_text()
    assert "theirs" in report and "Nearest training images" in report
    assert (folder / "rejected.csv").read_text().split() == ["path,reason"]

    options = {"evaluate__images": "theirs", "evaluate__against": "theirs.npz"}
    result = kedro_run("--pipelines=evaluate_images,compare", **options)
    assert result.exit_code == 0, result.output
    assert len(list(project.glob("data/08_reporting/leaderboard/*.json"))) == 2
    page = (project / "data/08_reporting/comparison.html").read_text()
    assert "images: theirs" in page and "images of theirs" in page
    # No run has been evaluated, and no metrics of one were replaced.
    assert not list(project.glob("data/08_reporting/sample"))
