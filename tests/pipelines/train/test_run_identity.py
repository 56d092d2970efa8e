"""What makes another run of the same command, and what goes on with the last one."""

import pandas as pd

from ganvas.ingestion.class_labels import read_classes
from ganvas.ingestion.collection import Collection
from ganvas.networks import NetworkParams
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.train.nodes import _identify
from ganvas.training.config import TrainParams

INDEX = pd.DataFrame({"path": list("abcdef"), "kind": ["x", "y"] * 3, "hash": list("123456")})
INDEX = INDEX.assign(split="train")
OTHER = [
    {"seed": 1},
    {"batch_size": 32},
    {"loss": {"name": "hinge"}},
    {"penalty": {"r1": 1.0}},
    {"augment": {"name": "ada"}},
    {"flip": True},
    {"discriminator_steps": 2},
    {"gradient_accumulation_steps": 2},
    {"simultaneous_updates": True},
    {"resample_latents": True},
    {"uniform_class_sampling": True},
    {"ema_decay": 0.9},
    {"precision": "mixed_bfloat16"},
    {"weights_from": "elsewhere"},
    {"optimizer": {"name": "rmsprop"}},
    {"anchor": {"pixels": 1.0}},
]
SAME = [
    {"epochs": 7},
    {"max_minutes": 1.0},
    {"generator_learning_rate": 0.1},
    {"resume": False},
    {"schedule": {"name": "cosine"}},
    {"checkpoint": {"interval": 3}},
    {"kid_validation": {"interval": 2}},
]
DATA = [
    {"hash": list("123457")},
    {"split": ["train"] * 5 + ["validation"]},
    {"kind": list("xyyxxy")},
]


def identify(index=INDEX, column="kind", ingest=None, network=None, train=None):
    collection, classes = Collection(None, index, None), read_classes(index, column)
    chosen = NetworkParams(**network or {}), TrainParams(**train or {})
    return _identify(collection, IngestParams(**ingest or {}), classes, *chosen)


def test_other_images_networks_and_ways_of_training_make_another_run():
    others = [{"train": each} for each in OTHER]
    others += [{"index": INDEX.assign(**each)} for each in DATA] + [{"column": None}]
    others += [{"ingest": each} for each in ({"size": 32}, {"crop": "pad"}, {"align": "faces"})]
    others += [{"network": {"name": "r3gan"}}, {"network": {"dcgan": {"latent": 7}}}]
    assert [each for each in others if identify(**each) == identify()] == []


def test_limits_rates_and_where_files_lie_do_not():
    same = [{"train": each} for each in SAME] + [{"ingest": {"workers": 2}}]
    same += [{"index": INDEX.assign(path=list("ghijkl"))}, {"network": {"artgan": {"width": 64}}}]
    assert [each for each in same if identify(**each) != identify()] == []
