"""What the report says of good, collapsed, blurred, noisy, copying and unmeasured runs."""

import pytest

from ganvas.pipelines.evaluate.metric_entry import metric_entry
from ganvas.pipelines.report.verdict import assess_run

TRAINING = {
    "ended_by": "steps",
    "message": "Training is complete after 3,000 steps, in epoch 94.",
    "classes": {"column": "genre", "names": ["Op", "Pop"]},
    "steps": 3000,
    "epochs": 94,
    "seconds": 375.0,
}
# Of 8 real images of each of many classes.
FEW_IMAGES = 0.6


def make_metrics(
    variety=0.9,
    precision=0.8,
    density=1.0,
    copies=55.0,
    accuracy=0.95,
    baseline=0.95,
    recall=0.4,
):
    by_class = {"Op": variety, "Pop": 1.0}
    return {
        "class_diversity_pixels": metric_entry("", variety, "", real=baseline, by_class=by_class),
        "precision": metric_entry("", precision, "", real=1.0),
        "density": metric_entry("", density, "", real=1.0),
        "recall": metric_entry("", recall, "", real=0.8),
        "class_agreement": metric_entry("", accuracy, "", real=1.0),
        "nearest_training_distance": metric_entry("", copies, "", real=60.0),
    }


def judge(training=TRAINING, without=(), **metrics):
    found = make_metrics(**metrics)
    return assess_run({key: x for key, x in found.items() if key not in without}, training)


def test_a_good_run_is_varied_sharp_and_no_copy():
    verdict = judge()
    assert verdict.level == "good" and verdict.summary == "Varied · sharp · no copies"
    assert verdict.sentences == [
        "Images are varied within each genre: in the least varied, Op, they differ from each other "
        "90% as much as real images do.",
        "Details are sharp: 80% of images look real to the feature extractor (real images: 100%).",
        "There is no sign of copies: in pixels, images keep 92% of the distance that validation "
        "images keep.",
    ]
    assert verdict.advice.startswith("Try larger images (ingest.size)")


@pytest.mark.parametrize(
    ("metrics", "level", "summary"),
    [
        ({"variety": 0.54}, "poor", "Mode collapse within classes · sharp · no copies"),
        ({"variety": 0.74}, "fair", "Less varied than real images · sharp · no copies"),
        ({"variety": 0.65, "baseline": FEW_IMAGES}, "good", "Varied · sharp · no copies"),
        ({"precision": 0.69}, "fair", "Varied · softer than real images · no copies"),
        ({"precision": 0.19}, "poor", "Varied · blurred or distorted · no copies"),
        ({"recall": 0.041}, "good", "Varied · sharp · no copies"),
        ({"recall": 0.039}, "poor", "Varied · far from most real images · no copies"),
        ({"recall": 0.0, "precision": 0.19}, "poor", "Varied · blurred or distorted · no copies"),
        ({"density": 1.31}, "fair", "Varied · noisy or repeated · no copies"),
        ({"accuracy": 0.79}, "poor", "Varied · sharp · mixed classes · no copies"),
        ({"copies": 50.0}, "fair", "Varied · sharp · near training images"),
        ({"copies": 29.0}, "poor", "Varied · sharp · copies of training images"),
    ],
)
def test_each_threshold_changes_the_verdict(metrics, level, summary):
    verdict = judge(**metrics)
    assert (verdict.level, verdict.summary) == (level, summary)
    assert len(verdict.sentences) == 3


def test_collapsed_classes_are_named_and_counted():
    verdict = judge(variety=0.38)
    assert verdict.sentences[0] == (
        "Images of one genre are too much alike: in the least varied, Op, they differ from each "
        "other 38% as much as real images do (1 of 2 are below 55%)."
    )
    assert verdict.advice.startswith("Try more training (train.max_steps")


@pytest.mark.parametrize(
    ("nearest", "summary"),
    [
        ({"features": 0.29, "pixels": 0.5}, "Repeated images within classes · sharp"),
        ({"features": 0.31, "pixels": 0.05}, "Varied · sharp"),
        ({"pixels": 0.09}, "Repeated images within classes · sharp"),
        ({"pixels": 0.11}, "Varied · sharp"),
        ({"features": float("nan")}, "Varied · sharp"),
    ],
)
def test_repeated_images_are_found_by_features_or_without_them_by_pixels(nearest, summary):
    metrics = make_metrics() | {
        f"class_nearest_{space}": metric_entry("", value, "", by_class={"Op": 0.9, "Pop": value})
        for space, value in nearest.items()
    }
    verdict = assess_run(metrics, TRAINING)
    assert verdict.summary.startswith(summary)
    if summary.startswith("Repeated"):
        assert verdict.level == "poor" and "in the worst, Pop, the nearest" in verdict.sentences[0]
        assert "(1 of 2 are below" in verdict.sentences[0]
        assert verdict.advice.startswith("Try more training")


def test_the_advice_is_that_of_the_worst_finding():
    assert "train.max_steps=6000" in judge(precision=0.3).advice
    assert judge(precision=0.3, copies=20).advice.startswith("Try more images, fewer steps")
    assert judge(variety=0.3, copies=20).advice.startswith("Try more training")
    assert judge(copies=50).advice.startswith("Try more images")


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"ended_by": "epochs"}, "train.epochs=188"),
        ({"ended_by": "time"}, "train.max_minutes=12"),
        ({"ended_by": "interrupted"}, "Run the same command again"),
        ({"ended_by": "patience"}, "more images or another network"),
    ],
)
def test_more_training_is_advised_by_the_limit_that_ended_the_run(changes, advice):
    assert advice in judge(TRAINING | changes, precision=0.3).advice


def test_a_diverged_run_is_said_to_be_first():
    message = "Training diverged, NaN in step 7: the model of epoch 2 is kept; try lower rates."
    diverged = TRAINING | {"ended_by": "diverged", "message": message}
    verdict = judge(diverged)
    assert verdict.level == "poor" and verdict.summary.startswith("Diverged · varied")
    assert verdict.sentences[0].endswith("the model of epoch 2 is kept.")
    assert verdict.advice == "Try lower rates."
    # Nothing could be measured.
    assert assess_run({}, diverged).summary == "Diverged · sharpness not measured"


def test_an_interrupted_run_is_said_to_be():
    message = "Training was interrupted: the model of epoch 2 is kept."
    verdict = judge(TRAINING | {"ended_by": "interrupted", "message": message})
    assert verdict.level == "fair" and verdict.sentences[0] == message


def test_runs_without_features_or_validation_images_say_what_is_not_measured():
    verdict = judge(without=("precision", "density", "recall", "class_agreement"))
    assert verdict.summary == "Varied · sharpness not measured · no copies"
    copies = make_metrics() | {"nearest_training_distance": metric_entry("", 40.0, "")}
    assert assess_run(copies, TRAINING).summary == "Varied · sharp · copies not measured"


def test_without_classes_groups_of_similar_images_take_their_place():
    plain = TRAINING | {"classes": {"column": None, "names": []}}
    metrics = make_metrics()
    by_class = {"cluster 2": 0.0, "cluster 1": 0.9}
    entry = metric_entry("", 0.0, "", real=0.9, by_class=by_class)
    verdict = assess_run(metrics | {"class_diversity_pixels": entry}, plain)
    assert verdict.summary.startswith("Mode collapse within groups of similar images")
    assert "Images of one group of similar images" in verdict.sentences[0]
    assert "cluster 2" in verdict.sentences[0]


def test_runs_of_earlier_versions_are_judged_by_what_they_have():
    old = {key: x for key, x in TRAINING.items() if key != "steps"}
    metrics = make_metrics(precision=0.3)
    del metrics["class_diversity_pixels"]
    metrics["diversity"] = metric_entry("", 14.0, "", real=16.0)
    verdict = assess_run(metrics, old)
    assert verdict.summary.startswith("Variety within classes not measured · softer")
    assert verdict.advice.endswith("kedro run --pipelines=evaluate,report.")
    metrics["diversity"] = metric_entry("", 7.0, "", real=16.0)
    assert assess_run(metrics, old).summary.startswith("Mode collapse · ")
    del metrics["diversity"]
    assert "a higher train.max_steps" in assess_run(metrics, old).advice
