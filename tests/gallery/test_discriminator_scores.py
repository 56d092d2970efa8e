"""Uploads: honest ones are judged, all others refused in a sentence."""

import io
import struct
import zlib
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.gallery.batching import BusyError, TooSlowError
from ganvas.gallery.discriminator_scores import PLACES, DiscriminatorScorer, ScoreResult
from ganvas.gallery.model_store import Models
from ganvas.gallery.score_histogram import HEIGHT, WIDTH, draw_scores
from ganvas.ingestion.collection import open_collection
from ganvas.metrics.discriminator_accuracy import compute_logits
from ganvas.networks.sampling import generate_images, sample_latents
from projects import BY_CLASS, PLAIN

RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (48, 32, 3), dtype=np.uint8))


def write(picture, form="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def ask(client, content, **fields):
    data = fields | {"picture": (io.BytesIO(content), "picture")}
    return client.post("/api/judge", data=data, content_type="multipart/form-data")


def bomb(width, height):
    """A PNG that says it is huge, in a few bytes."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_the_score_is_the_discriminators(client, trained):
    answer = ask(client, write(NOISE), model=PLAIN).json
    file = next((trained / "data/06_models" / PLAIN).glob("discriminator.keras/*/*.keras"))
    discriminator = keras.models.load_model(file)
    square = np.asarray(NOISE.crop((0, 8, 32, 40)))
    assert answer["score"] == pytest.approx(
        compute_logits(discriminator, square[None])[0], abs=1e-5
    )
    collection = open_collection(trained / "data/03_primary/sample/collection")
    held_out = np.asarray(collection.images[collection.shuffled("validation")])
    np.testing.assert_allclose(answer["real"], compute_logits(discriminator, held_out), atol=1e-5)
    assert len(answer["generated"]) == 128


def test_a_class_changes_the_score_of_a_discriminator_that_looks_at_classes(client):
    scores = {
        name: ask(client, write(NOISE), model=BY_CLASS, **{"class": name}).json["score"]
        for name in ("Ink Waves", "Still Lifes")
    }
    assert scores["Ink Waves"] != scores["Still Lifes"]
    assert ask(client, write(NOISE), model=BY_CLASS, **{"class": "Dogs"}).status_code == 404


@pytest.mark.parametrize(
    "content",
    [
        write(NOISE, "JPEG"),
        write(NOISE, "WEBP"),
        write(NOISE, "BMP"),
        write(NOISE, "TIFF"),
        write(NOISE.convert("P"), "GIF"),
        write(NOISE, "WEBP", save_all=True, append_images=[NOISE]),
        write(NOISE.convert("CMYK"), "JPEG"),
        write(NOISE.convert("RGBA")),
        write(NOISE.convert("1")),
        write(Image.fromarray(RNG.integers(0, 65536, (40, 40)).astype(np.uint16))),
        write(NOISE, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"),
        # A page may lie behind a picture: it is read as what it is, and given back to nobody.
        write(NOISE) + b"<script>alert(1)</script>",
        write(Image.new("RGB", (4000, 9))),
    ],
)
def test_pictures_of_all_kinds_are_judged(content, client):
    answer = ask(client, content, model=PLAIN)
    assert answer.status_code == 200 and np.isfinite(answer.json["score"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"GIF89a" + b"\0" * 20, "can't be used"),
        (write(NOISE)[:-400], "truncated"),
        (write(NOISE, "JPEG")[:200], "can't be used"),
        (write(NOISE)[:40] + b"\xff" * 200, "can't be used"),
        (bomb(60_000, 60_000), "too large"),
        (bomb(2**31 - 1, 2**31 - 1), "too large"),
        (bomb(5000, 4000), "too large: more than 16 megapixels"),
        (write(Image.new("RGB", (7, 7))), "too small: 7×7 pixels"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(content, words, client):
    answer = ask(client, content, model=PLAIN)
    assert answer.status_code == 400 and words in answer.json["error"]
    assert "\n" not in answer.json["error"] and "Traceback" not in answer.json["error"]


def test_a_photograph_of_more_pixels_is_judged_as_it_is_decoded_small(client):
    answer = ask(client, write(Image.new("L", (5000, 4000)), "JPEG"), model=PLAIN)
    assert answer.status_code == 200, answer.text


def test_more_uploads_than_can_be_judged_are_told_so_at_once(trained):
    data = trained / "data"
    court, studio = DiscriminatorScorer(data), Models(data / "06_models").choose(PLAIN)
    content = write(NOISE)
    with ThreadPoolExecutor(PLACES + 1) as pool:
        with court._lock:
            asked = [pool.submit(court.judge, studio, content, None) for _ in range(PLACES + 1)]
            done, waiting = wait(asked, timeout=20, return_when=FIRST_COMPLETED)
            assert [type(each.exception()) for each in done] == [BusyError]
        assert all(np.isfinite(each.result().score) for each in waiting)


def test_real_pictures_that_come_later_are_looked_at(trained, tmp_path):
    court, studio = DiscriminatorScorer(tmp_path), Models(trained / "data/06_models").choose(PLAIN)
    before = court.judge(studio, write(NOISE), None)
    assert not len(before.real) and before.looks_real is None
    (tmp_path / "03_primary").symlink_to(trained / "data/03_primary")
    after = court.judge(studio, write(NOISE), None)
    assert len(after.real) and after.score == before.score


def test_nobody_waits_for_the_bench_without_end(trained):
    data = trained / "data"
    court, studio = DiscriminatorScorer(data), Models(data / "06_models").choose(PLAIN)
    with court._lock, pytest.raises(TooSlowError):
        court.judge(studio, write(NOISE), None, patience=0.05)
    assert np.isfinite(court.judge(studio, write(NOISE), None).score)


def test_what_a_picture_looks_like_is_told_by_the_others_scores():
    def looks_real(score, real, generated):
        return ScoreResult(score, np.array(real), np.array(generated), NOISE).looks_real

    # Logits of a loss that knows differences alone.
    real, generated = [9.0, 10.0, 11.0, 400.0], [6.0, 7.0, 8.0]
    assert looks_real(9.5, real, generated) is True
    assert looks_real(8.0, real, generated) is False
    assert looks_real(9.5, [], generated) is None


def test_bytes_at_random_never_break_it(client):
    whole = bytearray(write(NOISE, "JPEG"))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        broken = whole.copy()
        for place in rng.integers(0, len(whole), 8):
            broken[place] = rng.integers(0, 256)
        assert ask(client, bytes(broken), model=PLAIN).status_code in (200, 400)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"picture": "text"},
        {"picture": (io.BytesIO(b"1"), "a"), "size": "9"},
        {"other": (io.BytesIO(b"1"), "a")},
    ],
)
def test_forms_of_another_kind_are_told_what_to_send(data, client):
    answer = client.post("/api/judge", data=data, content_type="multipart/form-data")
    assert answer.status_code == 400 and "field 'picture'" in answer.json["error"]


def test_the_plot_shows_shares_of_each_kind_and_the_place_of_the_picture():
    real, generated = np.array([1.0, 1.0, 3.0]), np.array([-3.0, -1.0])
    plot = draw_scores(ScoreResult(0.0, real, generated, np.zeros((2, 2, 3), np.uint8)))
    tall = {bar.height for bar in plot.bars if bar.kind == "real"}
    assert tall == {HEIGHT, HEIGHT / 2}
    assert {bar.height for bar in plot.bars if bar.kind == "generated"} == {HEIGHT * 0.75}
    assert plot.mark == WIDTH / 2
    assert [word for _, word in plot.ticks] == ["-3.0", "3.0"]


def test_it_is_compared_with_the_models_own_pictures(client, trained):
    answer, folder = ask(client, write(NOISE), model=PLAIN).json, trained / "data/06_models" / PLAIN
    generator, discriminator = (
        keras.models.load_model(next(folder.glob(f"{name}.keras/*/*.keras")))
        for name in ("generator", "discriminator")
    )
    expected = compute_logits(
        discriminator, generate_images(generator, sample_latents(generator, 128, 0))
    )
    np.testing.assert_allclose(answer["generated"], expected, rtol=1e-4, atol=1e-4)
