"""Points and other requests of the latent studio: what is refused, in which words."""

import json

import numpy as np
import pytest

from ganvas.gallery.request_checks import MAX_VALUES, InvalidRequestError, check_json
from ganvas.gallery.schemas import parse_json, read_query
from ganvas.gallery.studio_schemas import (
    MAX_KEYFRAMES,
    EditRequest,
    FilmRequest,
    InvertRequest,
    LatentsRequest,
    Point,
)
from ganvas.latents.latent_text import encode_w


def parse(schema, body):
    return parse_json(schema, json.dumps(body).encode())


def test_lists_and_text_are_the_same_latent():
    w = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    point = parse(Point, {"w": w.tolist(), "weights": [1, 2]})
    np.testing.assert_array_equal(point.w, w)
    assert point.w.dtype == np.float32 and point.weights.tolist() == [1, 2]
    np.testing.assert_array_equal(parse(Point, {"w": encode_w(w)}).w, w.ravel())
    query = [("w", encode_w(w)), ("class", "a"), ("truncation", "0.5")]
    assert read_query(Point, query).w.tolist() == w.ravel().tolist()


def test_without_fields_it_is_the_first_image_of_seed_0():
    point = parse(Point, {})
    assert (point.seed, point.number, point.truncation) == (0, 0, 1.0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"w": [1, True]}, "w: input should have numbers alone"),
        ({"w": [[1], [1, 2]]}, "in lists of equal lengths"),
        ({"w": [1, "2"]}, "w: input should have numbers alone"),
        ({"w": [1, None]}, "w: input should have numbers alone"),
        ({"w": []}, "w: input should be a list of numbers"),
        ({"w": [[]]}, "w: input should have numbers alone"),
        ({"w": {"a": 1}}, "w: input should be a list of numbers"),
        ({"w": 3}, "w: input should be a list of numbers"),
        ({"w": [1e30]}, "w: numbers should be between -1000 and 1000"),
        ({"w": [10**400]}, "w: input should have numbers alone"),
        ({"w": encode_w(np.array([np.nan]))}, "numbers should be between"),
        ({"w": encode_w(np.array([np.inf]))}, "numbers should be between"),
        ({"w": "a b"}, "w: text must be base64url"),
        ({"z": [1], "w": [1]}, "not by several"),
        ({"seed": 0, "z": [1]}, "not by several"),
        ({"class": "a", "weights": [1]}, "a class or weights, not both"),
        ({"v": 1}, "v: extra inputs are not permitted"),
    ],
)
def test_an_invalid_point_is_refused_in_one_sentence(body, message):
    with pytest.raises(InvalidRequestError, match=message) as error:
        parse(Point, body)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("schema", "body", "message"),
    [
        (LatentsRequest, {"points": []}, "points: .* at least 1"),
        (LatentsRequest, {"points": [{}] * 65}, "points: .* at most 64"),
        (EditRequest, {"edits": {"age": 1e9}}, "edits.age: .* less than or equal to 1000"),
        (EditRequest, {"edits": {"age": "1"}}, "edits.age: .* valid number"),
        (EditRequest, {"edits": {"a" * 65: 1}}, "edits.* at most 64 characters"),
        (EditRequest, {"edits": {f"a{n}": 1 for n in range(51)}}, "edits: .* at most 50"),
        (FilmRequest, {"keyframes": [{}]}, "keyframes: .* at least 2"),
        (FilmRequest, {"keyframes": [{}] * (MAX_KEYFRAMES + 1)}, "keyframes: .* at most 16"),
        (FilmRequest, {"keyframes": [{}] * 2, "seconds": 0}, "seconds: .* greater than 0"),
        (FilmRequest, {"keyframes": [{}] * 2, "fps": 61}, "fps: .* less than or equal to 60"),
        (FilmRequest, {"keyframes": [{}] * 2, "easing": "bounce"}, "easing: input should be"),
        (FilmRequest, {"keyframes": [{}] * 2, "format": "frames"}, "format: input should be"),
        (InvertRequest, {"steps": 10_000}, "steps: .* less than or equal to"),
    ],
)
def test_an_invalid_request_is_refused_in_one_sentence(schema, body, message):
    with pytest.raises(InvalidRequestError, match=message):
        parse(schema, body)


def test_numbers_of_latents_do_not_count_as_values():
    numbers = [0.5] * 2 * MAX_VALUES
    check_json(json.dumps({"points": [{"w": [numbers], "z": numbers}]}).encode())
    for other in ({"w": {"a": numbers}}, {"points": numbers}, {"v": numbers}):
        with pytest.raises(InvalidRequestError, match="at most 1,000 values"):
            check_json(json.dumps(other).encode())
