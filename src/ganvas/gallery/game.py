"""The game: which of ten images are real?

The server keeps no state between the requests of a round. Its images follow from the round's id
and a secret of this process, so neither the page nor the image addresses reveal the answers.
"""

import hashlib
import secrets

import numpy as np

from ganvas.gallery.model_store import LoadedModel
from ganvas.gallery.real_images import validation_positions
from ganvas.ingestion.collection import Collection

IMAGES = 10
# Not the seed of sample grids or of the gallery's first page, whose images are known.
SEED = 2**31 + 7


class Game:
    """Rounds of real and generated images, reproducible from a round's id."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def new_round(self) -> str:
        """Return the id of a new round."""
        return secrets.token_urlsafe(12)

    def is_real(self, round_id: str) -> list[bool]:
        """Return which images of a round are real: at least two, at most all but two."""
        rng = self._rng(round_id)
        real = np.arange(IMAGES) < rng.integers(2, IMAGES - 1)
        return rng.permutation(real).tolist()

    def image(
        self, round_id: str, position: int, model: LoadedModel, collection: Collection
    ) -> np.ndarray:
        """Return an image of a round, uint8 (H, W, C).

        Raises:
            BusyError, RequestTimeoutError: The generator has too many requests.
        """
        rng = self._rng(f"{round_id}/pictures")
        candidates = validation_positions(collection)
        real = rng.choice(candidates, IMAGES, replace=len(candidates) < IMAGES)
        numbers = rng.integers(0, 2**12, IMAGES)
        labels = rng.integers(0, max(len(model.class_names), 1), IMAGES)
        if self.is_real(round_id)[position]:
            return np.asarray(collection.images[real[position]])
        latent = model.sample_latent(SEED, int(numbers[position]))
        one_hot = model.one_hot(labels[position : position + 1])
        return model.batcher.generate(latent[None], one_hot)[0]

    def _rng(self, key: str) -> np.random.Generator:
        digest = hashlib.blake2b(key.encode(), key=self._secret, digest_size=16).digest()
        return np.random.default_rng(int.from_bytes(digest, "big"))
