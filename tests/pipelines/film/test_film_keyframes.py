"""Classes and files of keyframes, without a generator."""

import struct

import numpy as np
import pytest
import yaml

from ganvas.base_params import check_params
from ganvas.errors import GanvasError
from ganvas.label_columns import make_table
from ganvas.pipelines.film.keyframes import read_latents, weigh_class
from ganvas.pipelines.film.params import FilmParams
from projects import read_option

FACES = make_table(
    [("Smiling", ["no", "yes"]), ("digit", ["1", "2"]), ("kind", ["a, b", "c=d"])],
    np.array([[0, 0, 0], [1, 1, 1]]),
)
YEARS = make_table([("year", ["1990", "a b", "a-b", "no"])], np.arange(4)[:, None])


def weigh(table, text):
    """Return the weights of a class as the command line and files of configuration have it."""
    option = read_option(f"film.keyframes=[{{number: 1, class: {text}}}]")["film"]
    loaded = yaml.safe_load(f"keyframes:\n  - {{number: 1, class: {text}}}")
    rows = [
        weigh_class(table, check_params(FilmParams, params).keyframes[0].class_name)
        for params in (option, loaded)
    ]
    np.testing.assert_array_equal(*rows)
    return rows[0][0]


@pytest.mark.parametrize(
    "text",
    [
        "{Smiling: yes, digit: 1, kind: c=d}",
        "{Smiling: 'yes', digit: '1', kind: c=d}",
        "'Smiling=yes,digit=1, kind=c=d'",
    ],
)
def test_a_class_of_several_labels_has_its_values(text):
    np.testing.assert_allclose(weigh(FACES, text), np.float32([0, 1, 1, 0, 0, 1]) / 3)


def test_values_may_have_commas():
    rows = weigh(FACES, "'kind=a, b, digit=2, Smiling=no'")
    np.testing.assert_allclose(rows, np.float32([1, 0, 0, 1, 1, 0]) / 3)


def test_a_class_may_be_named_as_in_names_of_samples():
    np.testing.assert_array_equal(
        weigh(FACES, "Smiling-yes-digit-2-kind-c-d"), FACES.weigh(np.array([1]))[0]
    )
    np.testing.assert_array_equal(weigh(YEARS, "a-b"), [0, 0, 1, 0])
    np.testing.assert_array_equal(weigh(YEARS, "{1990: 1, a b: 3}"), [0.25, 0.75, 0, 0])


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        (FACES, "Smiling=yes", "no value of digit: choose among 1, 2"),
        (FACES, "'Smiling=yes, digit=1, digit=2, kind=c=d'", "there is no class 'Smiling=yes, dig"),
        (FACES, "{Smiling: maybe, digit: 1, kind: c=d}", "no value of Smiling 'maybe'"),
        (FACES, "{smile: yes, digit: 1, kind: c=d}", "no label 'smile'"),
        (YEARS, "{1990: yes}", "weights of classes must be numbers"),
        (YEARS, "{1990: inf}", "weights of classes must be numbers"),
    ],
)
def test_a_class_that_does_not_exist_is_refused(table, text, message):
    with pytest.raises(GanvasError, match=message):
        weigh(table, text)


def test_an_array_z_has_latents_before_the_map(tmp_path):
    np.savez(tmp_path / "z.npz", z=np.ones((2, 3)), seeds=np.array(["a"]))
    assert list(read_latents(tmp_path / "z.npz")) == ["z"]
    np.savez(tmp_path / "both.npz", z=np.ones((2, 3)), w=np.ones((2, 5)), names=np.array(["a"]))
    assert list(read_latents(tmp_path / "both.npz")) == ["w"]


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("complex.npz", {"w": np.ones((2, 3), complex)}, "has no numbers in 'w'"),
        ("texts.npz", {"w": np.ones((1, 3)), "labels": np.array([["a"]])}, "numbers in 'labels'"),
        ("others.npz", {"x": np.ones(3), "y": np.ones(3)}, "has no array 'w', but x, y"),
        ("labels.npz", {"labels": np.ones(3), "y": np.ones(3)}, "has no array 'w', but labels, y"),
    ],
)
def test_files_of_something_else_are_refused(name, arrays, message, tmp_path):
    np.savez(tmp_path / name, **arrays)
    with pytest.raises(GanvasError, match=message):
        read_latents(tmp_path / name)


def test_a_damaged_file_does_not_fill_the_memory(tmp_path):
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 512), }"
    header = text.ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(100)
    (tmp_path / "huge.npy").write_bytes(content)
    with pytest.raises(GanvasError, match=r"can't be read .*: choose another file"):
        read_latents(tmp_path / "huge.npy")
