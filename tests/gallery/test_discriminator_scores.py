"""Uploads: images of all formats are scored, everything else is rejected in a sentence."""

import io
import struct
import zlib
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.gallery.batching import BusyError, RequestTimeoutError
from ganvas.gallery.discriminator_scores import MAX_UPLOADS, DiscriminatorScorer, ScoreResult
from ganvas.gallery.model_store import ModelStore, NotFoundError
from ganvas.ingestion.collection import open_collection
from ganvas.metrics.discriminator_accuracy import compute_logits
from ganvas.networks.sampling import generate_images, sample_latents
from projects import BY_CLASS, PLAIN

RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (48, 32, 3), dtype=np.uint8))


def encode(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def upload(client, content, **fields):
    data = fields | {"picture": (io.BytesIO(content), "picture")}
    return client.post("/api/judge", data=data, content_type="multipart/form-data")


def decompression_bomb(width, height):
    """A PNG of a few bytes whose header claims a huge size."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100_000, 9)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def load_network(trained, name):
    files = (trained / "data/06_models" / PLAIN).glob(f"{name}.keras/*/*.keras")
    return keras.models.load_model(next(files))


def make_scorer(trained, data=None):
    """A scorer, and the unconditional model."""
    model = ModelStore(trained / "data/06_models").load(PLAIN)
    return DiscriminatorScorer(data or trained / "data"), model


def test_the_score_is_the_discriminators_logit(client, trained):
    scores = upload(client, encode(NOISE), model=PLAIN).json
    discriminator = load_network(trained, "discriminator")
    square = np.asarray(NOISE.crop((0, 8, 32, 40)))
    expected = compute_logits(discriminator, square[None])[0]
    assert scores["score"] == pytest.approx(expected, abs=1e-5)
    collection = open_collection(trained / "data/03_primary/sample/collection")
    validation = np.asarray(collection.images[collection.shuffled("validation")])
    expected = compute_logits(discriminator, validation)
    np.testing.assert_allclose(scores["real"], expected, atol=1e-5)
    assert len(scores["generated"]) == 128


def test_generated_references_are_images_of_the_model(client, trained):
    scores = upload(client, encode(NOISE), model=PLAIN).json
    generator = load_network(trained, "generator")
    images = generate_images(generator, sample_latents(generator, 128, 0))
    expected = compute_logits(load_network(trained, "discriminator"), images)
    np.testing.assert_allclose(scores["generated"], expected, rtol=1e-4, atol=1e-4)


def test_the_class_changes_the_score_of_a_conditional_discriminator(client):
    scores = {
        name: upload(client, encode(NOISE), model=BY_CLASS, **{"class": name}).json["score"]
        for name in ("Ink Waves", "Still Lifes")
    }
    assert scores["Ink Waves"] != scores["Still Lifes"]
    response = upload(client, encode(NOISE), model=BY_CLASS, **{"class": "Dogs"})
    assert response.status_code == 404


def test_without_a_class_the_one_that_scores_highest_is_chosen(client, genres):
    scores = {
        name: upload(client, encode(NOISE), model=BY_CLASS, **{"class": name}).json["score"]
        for name in genres
    }
    best = upload(client, encode(NOISE), model=BY_CLASS).json
    assert best["class"] == max(scores, key=scores.get)
    assert best["score"] == pytest.approx(max(scores.values()), abs=1e-5)
    assert upload(client, encode(NOISE), model=PLAIN).json["class"] is None


def test_examples_are_images_of_the_collection_or_of_the_generator(trained):
    scorer = DiscriminatorScorer(trained / "data")
    model = ModelStore(trained / "data/06_models").load(BY_CLASS)
    collection = open_collection(trained / "data/03_primary/sample/collection")
    genres = {
        np.asarray(collection.images[position]).tobytes(): collection.index["genre"][position]
        for position in collection.shuffled("validation")
    }
    results = [scorer.score_example(model, "real", seed) for seed in range(8)]
    assert all(genres[result.image.tobytes()] == result.class_name for result in results)
    assert len({result.image.tobytes() for result in results}) > 1
    generated = scorer.score_example(model, "generated", 0)
    assert generated.image.tobytes() not in genres and generated.class_name in model.class_names
    names, scores = zip(*generated.class_scores, strict=True)
    assert set(names) == set(model.class_names) and list(scores) == sorted(scores, reverse=True)


def test_an_example_of_a_missing_collection_names_the_command(trained, tmp_path):
    scorer, model = make_scorer(trained, tmp_path)
    with pytest.raises(NotFoundError, match="--pipelines=ingest"):
        scorer.score_example(model, "real", 0)
    assert np.isfinite(scorer.score_example(model, "generated", 0).score)


def test_shares_of_images_that_score_lower():
    result = ScoreResult(1.0, np.array([0.0, 2.0, 3.0, 4.0]), np.array([-1.0, 0.0]), NOISE)
    assert (result.exceeds("real"), result.exceeds("generated")) == (0.25, 1.0)


@pytest.mark.parametrize(
    "content",
    [
        encode(NOISE, "JPEG"),
        encode(NOISE, "WEBP"),
        encode(NOISE, "BMP"),
        encode(NOISE, "TIFF"),
        encode(NOISE.convert("P"), "GIF"),
        encode(NOISE, "WEBP", save_all=True, append_images=[NOISE]),
        encode(NOISE.convert("CMYK"), "JPEG"),
        encode(NOISE.convert("RGBA")),
        encode(NOISE.convert("1")),
        encode(Image.fromarray(RNG.integers(0, 65536, (40, 40)).astype(np.uint16))),
        encode(NOISE, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"),
        # Markup may follow an image: the upload is decoded, and never served again.
        encode(NOISE) + b"<script>alert(1)</script>",
        encode(Image.new("RGB", (4000, 9))),
    ],
)
def test_images_of_all_formats_are_scored(content, client):
    response = upload(client, content, model=PLAIN)
    assert response.status_code == 200 and np.isfinite(response.json["score"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "an SVG drawing"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image, which can't be read: convert it to JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"GIF89a" + b"\0" * 20, "can't be used"),
        (encode(NOISE)[:-400], "truncated"),
        (encode(NOISE, "JPEG")[:200], "can't be used"),
        (encode(NOISE)[:40] + b"\xff" * 200, "can't be used"),
        (decompression_bomb(60_000, 60_000), "too large"),
        (decompression_bomb(2**31 - 1, 2**31 - 1), "too large"),
        (
            decompression_bomb(8000, 7000),
            "too large to decode safely: 56 megapixels, more than 50",
        ),
        (encode(Image.new("RGB", (7, 7))), "too small: 7×7 pixels"),
    ],
)
def test_other_files_are_rejected_in_one_sentence(content, message, client):
    response = upload(client, content, model=PLAIN)
    assert response.status_code == 400 and message in response.json["error"]
    assert "\n" not in response.json["error"] and "Traceback" not in response.json["error"]


def test_a_larger_jpeg_is_scored_since_it_is_decoded_at_a_smaller_size(client):
    response = upload(client, encode(Image.new("L", (9000, 7000)), "JPEG"), model=PLAIN)
    assert response.status_code == 200, response.text


def test_too_many_uploads_are_rejected_at_once(trained):
    scorer, model = make_scorer(trained)
    content = encode(NOISE)
    with ThreadPoolExecutor(MAX_UPLOADS + 1) as pool:
        with scorer._lock:
            jobs = [pool.submit(scorer.score, model, content) for _ in range(MAX_UPLOADS + 1)]
            done, waiting = wait(jobs, timeout=20, return_when=FIRST_COMPLETED)
            assert [type(job.exception()) for job in done] == [BusyError]
        assert all(np.isfinite(job.result().score) for job in waiting)


def test_a_collection_that_is_packed_later_is_used(trained, tmp_path):
    scorer, model = make_scorer(trained, tmp_path)
    before = scorer.score(model, encode(NOISE))
    assert not len(before.real) and before.looks_real is None
    (tmp_path / "03_primary").symlink_to(trained / "data/03_primary")
    after = scorer.score(model, encode(NOISE))
    assert len(after.real) and after.score == before.score


def test_an_upload_that_waits_too_long_times_out(trained):
    scorer, model = make_scorer(trained)
    with scorer._lock, pytest.raises(RequestTimeoutError):
        scorer.score(model, encode(NOISE), timeout=0.05)
    assert np.isfinite(scorer.score(model, encode(NOISE)).score)


def test_looks_real_compares_with_the_medians():
    def looks_real(score, real, generated):
        return ScoreResult(score, np.array(real), np.array(generated), NOISE).looks_real

    # Logits of a loss that determines only differences.
    real, generated = [9.0, 10.0, 11.0, 400.0], [6.0, 7.0, 8.0]
    assert looks_real(9.5, real, generated) is True
    assert looks_real(8.0, real, generated) is False
    assert looks_real(9.5, [], generated) is None


def test_random_bytes_never_cause_a_server_error(client):
    content = bytearray(encode(NOISE, "JPEG"))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        damaged = content.copy()
        for position in rng.integers(0, len(content), 8):
            damaged[position] = rng.integers(0, 256)
        assert upload(client, bytes(damaged), model=PLAIN).status_code in (200, 400)
