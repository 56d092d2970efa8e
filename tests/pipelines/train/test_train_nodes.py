"""Which changes start a new run, and which resume the last one."""

import hashlib
import json

import pandas as pd

from ganvas.ingestion.class_labels import read_classes
from ganvas.ingestion.collection import Collection
from ganvas.networks import NetworkParams
from ganvas.pipelines.ingest.params import IngestParams
from ganvas.pipelines.train.nodes import run_identity
from ganvas.training.config import TrainParams

INDEX = pd.DataFrame({"path": list("abcdef"), "kind": ["x", "y"] * 3, "hash": list("123456")})
INDEX = INDEX.assign(split="train")
NEW_RUN = [
    {"seed": 1},
    {"batch_size": 32},
    {"loss": {"name": "hinge"}},
    {"penalty": {"r1": 1.0}},
    {"augment": {"name": "adaptive_diffaugment"}},
    {"flip": True},
    {"flip_vertically": True},
    {"rotate_quarters": True},
    {"discriminator_steps": 2},
    {"gradient_accumulation_steps": 2},
    {"simultaneous_updates": True},
    {"resample_latents": True},
    {"uniform_class_sampling": True},
    {"ema_decay": 0.9},
    {"ema_images": 1000},
    {"ema_images": 1000, "ema_ramp": 0.05},
    {"path_length": {"weight": 2.0}},
    {"precision": "mixed_bfloat16"},
    {"weights_from": "elsewhere"},
    {"optimizer": {"name": "rmsprop"}},
    {"anchor": {"pixels": 1.0}},
    {"anchor": {"noise": 0.2}},
]
SAME_RUN = [
    {"epochs": 7},
    {"max_steps": 7},
    {"max_minutes": 1.0},
    {"generator_learning_rate": 0.1},
    {"resume": False},
    {"schedule": {"name": "cosine"}},
    {"checkpoint": {"interval": 3}},
    {"kid_validation": {"interval": 2}},
]
OTHER_DATA = [
    {"hash": list("123457")},
    {"split": ["train"] * 5 + ["validation"]},
    {"kind": list("xyyxxy")},
]


def make_identity(index=INDEX, column="kind", ingest=None, network=None, train=None):
    return run_identity(
        Collection(None, index, None),
        IngestParams(**ingest or {}),
        read_classes(index, column),
        NetworkParams(**network or {}),
        TrainParams(**train or {}),
    )


def test_runs_of_earlier_versions_keep_their_identity():
    text = json.dumps(make_identity(), sort_keys=True).encode()
    # The folder of this run's checkpoints since version 0.1. A parameter that identifies a run must
    # be left out of its identity where it has its default: see LATER_IDENTITY.
    assert hashlib.blake2b(text, digest_size=6).hexdigest() == "d8ef92c90e6a"
    # The same of networks' parameters: see LATER_NETWORK_IDENTITY.
    projected = make_identity(network={"name": "projected"})["network"]
    text = json.dumps(projected, sort_keys=True).encode()
    assert hashlib.blake2b(text, digest_size=6).hexdigest() == "f38026168191"


def test_what_was_called_ada_keeps_its_identity_and_the_new_ada_has_another():
    adaptive = make_identity(train={"augment": {"name": "adaptive_diffaugment"}})
    policy = ["color", "translation", "cutout"]
    numbers = {"target": 0.6, "speed": 500_000, "interval": 4}
    assert adaptive["train"]["augment"] == {"name": "ada", "policy": policy} | numbers
    text = json.dumps(adaptive, sort_keys=True).encode()
    # The folder of the checkpoints of a run that an earlier version trained with name=ada.
    assert hashlib.blake2b(text, digest_size=6).hexdigest() == "4c2284722f06"
    ada = [
        make_identity(train={"augment": {"name": "ada"} | other})["train"]["augment"]
        for other in ({}, {"set": "bg"}, {"probability": 0.1}, {"target": 0.5})
    ]
    assert ada[0] == {"name": "ada", "set": "bgc"} | numbers
    assert ada[2] == {"name": "ada", "set": "bgc", "probability": 0.1}
    assert len({json.dumps(x) for x in [*ada, adaptive["train"]["augment"]]}) == 5


def test_other_images_networks_and_training_parameters_start_a_new_run():
    changes = [{"train": params} for params in NEW_RUN]
    changes += [{"index": INDEX.assign(**columns)} for columns in OTHER_DATA] + [{"column": None}]
    changes += [
        {"ingest": {"size": 32}},
        {"ingest": {"crop": "pad"}},
        {"ingest": {"align": "faces"}},
    ]
    changes += [{"network": {"name": "r3gan"}}, {"network": {"dcgan": {"latent": 7}}}]
    changes += [{"network": {"dcgan": {"max_width": 64}}}]
    assert [change for change in changes if make_identity(**change) == make_identity()] == []


def test_limits_learning_rates_and_paths_resume_the_run():
    changes = [{"train": params} for params in SAME_RUN] + [{"ingest": {"workers": 2}}]
    changes += [{"index": INDEX.assign(path=list("ghijkl"))}]
    changes += [{"network": {"artgan": {"width": 64}}}]
    assert [change for change in changes if make_identity(**change) != make_identity()] == []


def test_runs_with_several_labels_differ_by_their_columns_and_values():
    index = INDEX.assign(size=list("uuvvuv"))
    one = make_identity(index, "size")
    both = make_identity(index, ["size", "kind"])
    assert both["data"]["label"] == ["size", "kind"]
    # As many as the networks have weights.
    assert both["data"]["classes"] == ["size=u", "size=v", "kind=x", "kind=y"]
    others = [
        make_identity(index, ["kind", "size"]),
        make_identity(index.assign(size=list("vvuuvu")), ["size", "kind"]),
        make_identity(index.assign(kind=list("yxyxyx")), ["size", "kind"]),
        one,
    ]
    assert all(other["data"] != both["data"] for other in others)
    assert make_identity(index, ["size"]) == one
