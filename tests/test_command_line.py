"""Parameters as the text of --params."""

import shlex

import pytest
from kedro.framework.cli.utils import _split_params

from ganvas.base_params import flatten
from ganvas.command_line import join_params


@pytest.mark.parametrize(
    "value",
    [
        *(128, 0.5, 1e-4, True, None, "plain", "1e3", "null", "", " spaces ", "a=b: c", "#1"),
        *("/red, green", "/\"both', of them", "/back\\slash", "/two\nlines", "/Été 絵画", "[1, 2]"),
    ],
)
def test_kedro_reads_the_value_that_was_written(value):
    params = {"ingest.dataset": "mine", "ingest.source.path": value, "train.seed": 3}
    (option,) = shlex.split(shlex.join([join_params(params)]))
    assert flatten(_split_params(None, None, option.removeprefix("--params="))) == params
