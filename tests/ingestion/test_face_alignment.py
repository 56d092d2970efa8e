import functools
import sys
from concurrent.futures import ThreadPoolExecutor

import matplotlib.cbook
import mtcnn
import numpy as np
import pytest
from PIL import Image, ImageFilter

from ganvas.errors import GanvasError
from ganvas.ingestion import decode, face_alignment
from ganvas.ingestion.decode import decode_image
from ganvas.ingestion.face_alignment import LANDMARKS, align_face, find_landmarks, fit_similarity
from ganvas.ingestion.rejection import Rejection

GRAY = (120, 110, 100)
# In pixels from the top left corner.
TEMPLATE = LANDMARKS + 0.5


@functools.cache
def hopper() -> Image.Image:
    """Grace Hopper in uniform, 256×300 pixels; a work of the US Navy, in the public domain."""
    file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return Image.open(file).convert("RGB").resize((256, 300), Image.Resampling.LANCZOS)


def scaled(factor: float) -> Image.Image:
    size = [round(side * factor) for side in hopper().size]
    return hopper().resize(size, Image.Resampling.LANCZOS)


def on_canvas(
    size: tuple[int, int], corner: tuple[int, int], image: Image.Image | None = None
) -> Image.Image:
    canvas = Image.new("RGB", size, GRAY)
    canvas.paste(image or hopper(), corner)
    return canvas


def turned(degrees: float) -> Image.Image:
    canvas = on_canvas((440, 440), (90, 70))
    return canvas.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=GRAY)


def features(aligned: Image.Image) -> np.ndarray:
    """Return the blurred middle of the face, robust to shifts of a few pixels."""
    face = aligned.convert("L").filter(ImageFilter.GaussianBlur(4)).crop((50, 95, 128, 170))
    return np.asarray(face, dtype=float).ravel()


@functools.cache
def aligned_hopper() -> Image.Image:
    aligned = align_face(hopper())
    assert aligned is not None
    return aligned.image


@pytest.fixture
def pointed(monkeypatch):
    """Return a function that aligns an image by given landmarks."""

    def align(image: Image.Image, landmarks: np.ndarray) -> Image.Image | None:
        monkeypatch.setattr(face_alignment, "find_landmarks", lambda _: landmarks)
        aligned = align_face(image)
        return None if aligned is None else aligned.image

    return align


@pytest.fixture
def no_detector():
    """Clear the cached detector before and after the test."""
    face_alignment._load_detector.cache_clear()
    yield
    face_alignment._load_detector.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        hopper,
        lambda: turned(20),
        lambda: turned(-20),
        lambda: hopper().crop((40, 20, 256, 300)),
        lambda: scaled(0.5),
        lambda: scaled(3),
        lambda: on_canvas((2400, 1800), (1900, 1300)),
    ],
    ids=["itself", "to the left", "to the right", "shifted", "halved", "tripled", "far away"],
)
def test_faces_are_aligned_as_in_celeba(make):
    aligned = align_face(make()).image
    assert aligned.mode == "RGB" and aligned.size == (178, 218)
    assert np.abs(find_landmarks(aligned) - TEMPLATE).max() <= 4
    assert np.corrcoef(features(aligned), features(aligned_hopper()))[0, 1] > 0.9


@pytest.mark.slow
def test_alignment_is_deterministic_and_prints_nothing(capfd, no_detector):
    find_landmarks(hopper())
    capfd.readouterr()
    face_alignment._load_detector.cache_clear()
    assert align_face(hopper()).image.tobytes() == aligned_hopper().tobytes()
    out, err = capfd.readouterr()
    assert out == err == ""


@pytest.mark.slow
@pytest.mark.parametrize("larger_first", [False, True])
def test_the_larger_of_two_faces_is_aligned(larger_first):
    small = scaled(0.6)
    corners = [(0, 0), (270, 100)] if larger_first else [(160, 0), (0, 100)]
    both = on_canvas((430, 300), corners[0])
    both.paste(small, corners[1])
    found = find_landmarks(both)
    assert np.abs(found - corners[0] - find_landmarks(hopper())).max() <= 4


@pytest.mark.slow
def test_a_small_face_is_detected_at_a_higher_resolution(monkeypatch):
    whole = on_canvas((1024, 700), (500, 250), scaled(0.5))
    close = find_landmarks(whole)
    expected = np.add(find_landmarks(scaled(0.5)), (500, 250))
    monkeypatch.setattr(face_alignment, "DETECTION_SIDES", (512,))
    coarse = find_landmarks(whole)
    assert np.abs(close - expected).max() <= 1.5
    assert not np.array_equal(coarse, close)


@pytest.mark.slow
@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (300, 200), GRAY),
        Image.effect_noise((300, 200), 90).convert("RGB"),
        Image.linear_gradient("L").convert("RGB"),
    ],
)
def test_an_image_without_a_face_is_rejected(tmp_path, image):
    assert align_face(image) is None
    image.save(tmp_path / "a.png")
    with pytest.raises(Rejection, match=r"^no face$"):
        decode_image(tmp_path / "a.png", (32, 32, 3), align="faces")


@pytest.mark.parametrize(
    "size", [(0, 0), (0, 9), (1, 1), (8, 8), (11, 40), (12, 12), (13, 300), (3000, 12), (1, 5000)]
)
def test_images_smaller_than_a_face_have_none(size):
    assert align_face(Image.new("RGB", size, GRAY)) is None


@pytest.mark.slow
def test_the_exif_orientation_is_applied_before_detection(tmp_path):
    hopper().save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = hopper().transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "lying.png", exif=exif)
    upright = decode_image(tmp_path / "upright.png", (64, 64, 3), align="faces").pixels
    assert upright.shape == (64, 64, 3) and upright.dtype == np.uint8
    square = aligned_hopper().resize((64, 64), Image.Resampling.LANCZOS, box=(0, 20, 178, 198))
    assert np.array_equal(upright, square)
    assert np.array_equal(
        decode_image(tmp_path / "lying.png", (64, 64, 3), align="faces")[0], upright
    )


def test_jpeg_drafts_are_large_enough_for_faces(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(decode, "align_face", lambda image, size: seen.append(image.size))
    for width, height in [(6000, 1500), (1500, 6000), (4000, 40), (300, 200)]:
        Image.new("RGB", (width, height)).save(tmp_path / "a.jpg")
        with pytest.raises(Rejection):
            decode_image(tmp_path / "a.jpg", (32, 32, 3), align="faces")
    assert seen == [(3000, 750), (750, 3000), (4000, 40), (300, 200)]


def test_a_missing_package_is_one_error_sentence(tmp_path, monkeypatch, no_detector):
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    hopper().save(tmp_path / "a.png")
    with pytest.raises(GanvasError, match=r'pip install -e "\.\[faces\]"'):
        decode_image(tmp_path / "a.png", (32, 32, 3), align="faces")
    assert decode_image(tmp_path / "a.png", (32, 32, 3))[0].shape == (32, 32, 3)


@pytest.mark.slow
def test_many_threads_share_one_detector(monkeypatch, no_detector):
    made = []
    make = mtcnn.MTCNN
    monkeypatch.setattr(mtcnn, "MTCNN", lambda *args, **more: made.append(1) or make(*args, **more))
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(find_landmarks, [scaled(0.5)] * 4))
    assert len(made) == 1
    assert all(np.array_equal(one, found[0]) for one in found)


def test_the_number_of_proposals_is_limited():
    scores = np.full((1, 40, 50, 2), 0.8, np.float32)
    scores[0, 7, 9, 1] = 0.9
    network = face_alignment._limit_proposals(lambda images: ("boxes", scores))
    boxes, limited = network(None)
    limited = np.array(limited)
    assert boxes == "boxes" and limited.shape == scores.shape
    assert (limited[..., 1] > 0).sum() == face_alignment.MAX_PROPOSALS
    assert limited[0, 7, 9, 1] == np.float32(0.9)


def naive_fit(points: np.ndarray, targets: np.ndarray) -> tuple[complex, complex]:
    """Solve targets = (a x - b y + c, b x + a y + d) for a, b, c, d."""
    (x, y), one, none = points.T, np.ones(len(points)), np.zeros(len(points))
    rows = np.concatenate([np.stack([x, -y, one, none], 1), np.stack([y, x, none, one], 1)])
    a, b, c, d = np.linalg.lstsq(rows, targets.T.ravel(), rcond=None)[0]
    return complex(a, b), complex(c, d)


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_agrees_with_plain_least_squares(seed):
    rng = np.random.default_rng(seed)
    points, targets = rng.normal(0, 50, (2, 5, 2))
    assert np.allclose(fit_similarity(points, targets), naive_fit(points, targets))


def test_a_known_transform_is_recovered():
    angle, scale, shift = 0.7, 2.5, np.array([30, -12])
    matrix = scale * np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    factor, offset = fit_similarity(TEMPLATE, TEMPLATE @ matrix.T + shift)
    assert np.isclose(factor, scale * np.exp(1j * angle)) and np.isclose(offset, complex(*shift))


def area(points: np.ndarray) -> float:
    """Return the signed area of the triangle of eyes and nose; reflections change its sign."""
    (x1, y1), (x2, y2) = points[:2] - points[2]
    return x1 * y2 - x2 * y1


def test_a_fit_is_never_a_reflection():
    mirrored = TEMPLATE * (-1, 1) + (178, 0)
    factor, offset = fit_similarity(mirrored, TEMPLATE)
    fitted = factor * (mirrored @ (1, 1j)) + offset
    assert np.allclose((factor, offset), naive_fit(mirrored, TEMPLATE))
    assert area(np.stack([fitted.real, fitted.imag], 1)) < 0 < area(TEMPLATE)


def test_landmarks_that_do_not_fit_are_no_face(pointed):
    rng = np.random.default_rng(0)
    z = (TEMPLATE - TEMPLATE.mean(0)) @ (1, 1j)
    # Random points, orthogonal to the template.
    other = rng.normal(0, 40, 5) + 1j * rng.normal(0, 40, 5)
    other -= other.mean()
    other -= z * np.vdot(z, other) / np.vdot(z, z)
    assert pointed(hopper(), np.stack([other.real, other.imag], 1) + 120) is None


@pytest.mark.slow
def test_a_rotated_and_enlarged_image_is_restored(pointed):
    plan = aligned_hopper().filter(ImageFilter.GaussianBlur(1))
    assert np.abs(np.asarray(pointed(plan, TEMPLATE), int) - np.asarray(plan)).mean() < 1
    upside = plan.resize((534, 654), Image.Resampling.BICUBIC).transpose(Image.Transpose.ROTATE_180)
    back = pointed(upside, (534, 654) - 3 * TEMPLATE)
    assert np.abs(np.asarray(back, int) - np.asarray(plan)).mean() < 1


def test_downscaling_is_antialiased(pointed):
    checks = (np.indices((900, 900)).sum(0) % 2 * 255).astype(np.uint8)
    image = Image.fromarray(checks).convert("RGB")
    turn = np.exp(0.3j) * 3.7
    points = turn * ((TEMPLATE - (89, 109)) @ (1, 1j)) + 450 + 450j
    drawn = np.asarray(pointed(image, np.stack([points.real, points.imag], 1)), int)
    assert np.abs(drawn - 128).max() <= 3


@pytest.mark.parametrize(("across", "down"), [(120, 0), (-120, 0), (0, 150), (0, -150)])
def test_the_edge_is_repeated_outside_of_the_image(pointed, across, down):
    y, x = np.mgrid[:218, :178]
    slope = np.repeat((y / 2 + x / 2)[..., None], 3, axis=2).astype(np.uint8)
    drawn = pointed(Image.fromarray(slope), TEMPLATE - (across, down))
    expected = slope[(y - down).clip(0, 217), (x - across).clip(0, 177)]
    assert np.abs(np.asarray(drawn, int) - expected).max() <= 2
