import pytest

from ganvas.errors import GanvasError
from ganvas.sweeps.values import Range, combine, describe_values, read_axes


def read(text: str):
    (axis,) = read_axes([text])
    return axis.values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("train.seed=[0, 1,2]", [0, 1, 2]),
        ("train.seed=7", [7]),
        ("network.name=[projected,dcgan]", ["projected", "dcgan"]),
        ("train.generator_learning_rate=[1e-4,2e-4]", [1e-4, 2e-4]),
        ("train.augment.policy=[[color],[color, cutout]]", [["color"], ["color", "cutout"]]),
        ("train.anchor.every=[null, 2]", [None, 2]),
        ("train.flip=[true,false]", [True, False]),
        # What is text stays as it is written.
        ("ingest.dataset=[007,on]", ["007", "on"]),
        ("ingest.source.path=../art", ["../art"]),
        ("train.seed=0..2", Range(0, 2, 1, False)),
        ("train.batch_size=8..64..8", Range(8, 64, 8, False)),
        ("train.generator_learning_rate=0.0001..0.01", Range(1e-4, 1e-2, None, True)),
        ("train.ema_decay=0.9..0.999", Range(0.9, 0.999, None, False)),
        ("train.penalty.r1=log(1e-2..10)", Range(1e-2, 10, None, True)),
        ("network.projected.generator_width=log(16..256)", Range(16, 256, 1, True)),
    ],
)
def test_values_are_lists_or_ranges(text, values):
    assert read(text) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.seed", r"^A sweep can't have 'train.seed': write a parameter with its"),
        ("train.seed=", "write a parameter with its values"),
        ("train.seed=[]", "can't have 0 values"),
        ("train.seed=2..0", r"can't have the range '2..0': its first number must be lower"),
        ("train.seed=0..5000", "has 1000 values at most"),
        ("train.seed=0..4..0", "only whole numbers have a step, from 1 on"),
        ("train.ema_decay=0.1..0.9..2", "only whole numbers have a step"),
        ("train.penalty.r1=log(0..1)", "a logarithmic range begins above 0"),
        ("train.seed=0..b", r"can't have the range '0..b': write LOW..HIGH"),
        ("train.seed=[1, 2", "write a list as YAML"),
    ],
)
def test_wrong_values_are_refused_in_one_sentence(text, message):
    with pytest.raises(GanvasError, match=message):
        read(text)


def test_a_parameter_is_swept_once():
    with pytest.raises(GanvasError, match=r"sets train\.seed twice"):
        read_axes(["train.seed=0", "train.seed=1"])


def test_all_combinations_are_run():
    axes = read_axes(["train.seed=0..2..2", "train.augment.policy=[[color],[cutout]]"])
    texts = [describe_values(values) for values in combine(axes)]
    assert texts == [
        f"train.seed={seed}, train.augment.policy=[{name}]"
        for seed in (0, 2)
        for name in ("color", "cutout")
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["train.ema_decay=0.9..0.99"], "has no end of values: add --trials=8"),
        (["train.seed=0..99", "train.batch_size=1..20"], "more than 1000 combinations"),
    ],
)
def test_endless_combinations_are_refused(texts, message):
    with pytest.raises(GanvasError, match=message):
        combine(read_axes(texts))
