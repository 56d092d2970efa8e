"""The latents of keyframes that are image files."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganvas.errors import GanvasError
from ganvas.ingestion.decode import decode_image
from ganvas.ingestion.rejection import Rejection
from ganvas.keras_types import Model
from ganvas.label_columns import ClassTable
from ganvas.latents.latent_text import decode_w
from ganvas.networks.image_encoder import ImageEncoder, from_arrays
from ganvas.networks.latent_spaces import generate_from_w, w_shape

logger = logging.getLogger(__name__)

# Mean difference in levels up to which an image is that of the latents that its file names; it may
# have been saved in another format in between. Images of other latents differ by 20 and more.
SAME_IMAGE = 4.0


class ImageFinder:
    """Find the latents of image files, see `ganvas.latents.inversion.Inverter`.

    A PNG file that the gallery saved names its latent, which is used if its image is this one.

    Args:
        generator: See `ganvas.networks.gan_networks.GanNetworks`.
        classes: Its classes.
        encoder: Content of its `encoder.npz`; empty if there is none, which takes time.
    """

    def __init__(
        self, generator: Model, classes: ClassTable, encoder: dict[str, np.ndarray]
    ) -> None:
        self._generator, self._classes, self._encoder = generator, classes, encoder
        self._inverter: Any = None

    def __call__(self, file: Path, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the latent and the class weights of an image.

        Args:
            file: Its file.
            labels: Class weights (1, K); None: those with the nearest image.

        Returns:
            w, float32 (1, *w_shape), and class weights, float32 (1, K).

        Raises:
            GanvasError: The file is not a readable image.
        """
        if not file.exists():
            raise GanvasError(f"{file} does not exist: choose another file.")
        try:
            pixels = decode_image(file, tuple(self._generator.output_shape[1:])).pixels[None]
        except Rejection as error:
            raise GanvasError(f"{file} can't be used: {error}.") from error
        if saved := self._read_saved(file, pixels):
            logger.info("%s: the latent that it was generated from", file.name)
            return saved[0], saved[1] if labels is None else labels
        found = self._load_inverter().invert(pixels, labels, description=f"Finding {file.name}")
        logger.info(
            "%s: found with distances %.3f of pixels and %.3f of features",
            *(file.name, found.pixel_distances[0], found.feature_distances[0]),
        )
        return found.w, found.labels

    def _read_saved(self, file: Path, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the latent and class weights in a file's text, if their image is this one."""
        with Image.open(file) as image:
            texts = getattr(image, "text", {})
        shape, count = w_shape(self._generator), self._classes.num_weights
        try:
            w = decode_w(texts["w"]).reshape(1, *shape)
            labels = decode_w(texts["weights"]) if count else np.zeros(0, np.float32)
            labels = labels.reshape(1, count)
        # Of another model, or of another program.
        except (KeyError, ValueError):
            return None
        if not (np.isfinite(w).all() and np.isfinite(labels).all()):
            return None
        generated = generate_from_w(self._generator, w, labels)
        difference = np.abs(generated.astype(int) - pixels).mean()
        return (w, labels) if difference <= SAME_IMAGE else None

    def _load_inverter(self) -> Any:
        if self._inverter is None:
            # They import TensorFlow and scikit-learn, which takes seconds.
            from ganvas.latents.fit_encoder import fit_encoder
            from ganvas.latents.inversion import Inverter

            columns = self._classes.columns
            rows = self._classes.weigh(np.arange(len(self._classes.combinations)))
            encoder = self._read_encoder()
            if encoder is None:
                logger.info("Fitting an encoder, which `--pipelines=invert` would save.")
                encoder = fit_encoder(self._generator, rows, description="Fitting an encoder")
            blocks = [len(column.values) for column in columns] or None
            self._inverter = Inverter(self._generator, encoder, rows, blocks)
        return self._inverter

    def _read_encoder(self) -> ImageEncoder | None:
        """Return the saved encoder of the generator; None if there is none that fits."""
        if not self._encoder:
            return None
        try:
            encoder = from_arrays(self._encoder)
        except ValueError as error:
            logger.warning("encoder.npz is not used, since %s.", error)
            return None
        expected = (tuple(self._generator.output_shape[1:]), w_shape(self._generator))
        if (encoder.image_shape, encoder.w_shape) != expected:
            logger.warning("encoder.npz is not used, since it is that of another generator.")
            return None
        return encoder
