"""Edits along directions are linear, and directions survive being saved."""

import io

import numpy as np
import pytest

from ganvas.errors import GanvasError
from ganvas.latents.directions import (
    NAME,
    Direction,
    as_name,
    check_name,
    edit_w,
    from_arrays,
    merge_directions,
    to_arrays,
)

RNG = np.random.default_rng(3)


def make(name: str, shape: tuple[int, ...] = (5,)) -> Direction:
    vector = RNG.standard_normal(shape).astype(np.float32)
    return Direction(name, "ganspace", vector, -2.5, 2.25, 0.5, {"component": 1, "of": ["a", "ü"]})


@pytest.mark.parametrize("shape", [(5,), (3, 5)])
def test_edits_are_sums_and_their_negatives_undo_them(shape):
    w = RNG.standard_normal((4, *shape)).astype(np.float32)
    a, b = make("a", shape), make("b", shape)
    edited = edit_w(w, [(a, 1.5), (b, -0.5)])
    np.testing.assert_allclose(edited, w + 1.5 * a.vector - 0.5 * b.vector, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(edit_w(edited, [(b, 0.5), (a, -1.5)]), w, atol=1e-5)
    each = edit_w(w, [(a, np.array([0, 1, 2, 3]))])
    np.testing.assert_allclose(each[2], w[2] + 2 * a.vector, rtol=1e-5, atol=1e-6)
    assert edit_w(w, []) is not w
    np.testing.assert_array_equal(edit_w(w, []), w)


def test_direction_of_another_generator_is_refused():
    with pytest.raises(GanvasError, match=r"'a' has the shape \(5,\).*\(6,\)"):
        edit_w(np.zeros((2, 6), np.float32), [(make("a"), 1)])


def test_saved_directions_are_the_same_without_pickle():
    directions = [make("smile", (3, 5)), make("Größe (2)", (3, 5))]
    file = io.BytesIO()
    np.savez(file, **to_arrays(directions))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        read = from_arrays(dict(arrays), (3, 5))
    for old, new in zip(directions, read, strict=True):
        assert new._replace(vector=0) == old._replace(vector=0)
        np.testing.assert_array_equal(new.vector, old.vector)
        assert new.vector.dtype == np.float32
    assert to_arrays([]) == {}
    assert from_arrays({}) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"names": None}, "damaged"),
        ({"names": np.array(["a"])}, "different lengths"),
        ({"names": np.array(["a", "A"])}, "same name"),
        ({"names": np.array(["a", "../b"])}, "'../b' is no direction"),
        ({"low": np.array([-1, np.nan])}, "no numbers"),
        ({"high": np.array([-9.0, 1])}, "range"),
        ({"about": np.array(["{}", "[]"])}, "is no direction"),
        ({"about": np.array(["{}", "{"])}, "damaged"),
        ({"about": np.array(["{}", "[" * 99_999])}, "damaged"),
        ({"vectors": np.ones(2)}, "wrong shapes"),
        ({"vectors": np.array(["x", "y"])}, "damaged"),
        ({"vectors": np.array(7.0)}, "damaged"),
        ({"vectors": np.ones((2, 4))}, "another generator"),
    ],
)
def test_damaged_directions_are_refused_in_one_sentence(change, why):
    arrays = to_arrays([make("a"), make("b")]) | change
    arrays = {key: value for key, value in arrays.items() if value is not None}
    with pytest.raises(GanvasError, match=why):
        from_arrays(arrays, (5,))


def test_new_directions_replace_those_of_their_name_alone():
    old, new = [make("a"), make("b"), make("c")], [make("B"), make("d")]
    merged = merge_directions(old, new)
    assert [x.name for x in merged] == ["a", "B", "c", "d"]
    assert merged[1] is new[0]


@pytest.mark.parametrize("name", ["a", "smile", "Größe", "genre=night sky", "更多", "x (2)", "a+b"])
def test_names_in_any_script_are_allowed(name):
    check_name(name)
    assert as_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "../a", "a/b", "a\\b", "-a", " a", "a ", "a.", "a\n", "x" * 65]
)
def test_names_that_are_no_files_are_refused_and_can_be_made_ones(name):
    with pytest.raises(GanvasError, match="can't be the name of a direction"):
        check_name(name)
    assert NAME.fullmatch(as_name(name))
