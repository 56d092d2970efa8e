"""A game: which of ten pictures are real?

Nothing is kept between the requests of a round. What a round shows follows from its name and a
secret of this process, so neither the page nor the addresses of its pictures tell what is real.
"""

import hashlib
import secrets

import numpy as np

from ganvas.gallery.model_store import LoadedModel
from ganvas.gallery.real_images import choose_real
from ganvas.ingestion.collection import Collection
from ganvas.networks.sampling import count_classes

PICTURES = 10
# Latents of the sample grid and of the gallery's first page are taken.
SEED = 2**31 + 7


class Game:
    """Deals rounds of pictures; each deals the same to all who know its name."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def new_round(self) -> str:
        """Give the name of a round that nobody has played."""
        return secrets.token_urlsafe(12)

    def tell(self, name: str) -> list[bool]:
        """Tell which pictures of a round are real: at least two, and at most all but two."""
        rng = self._draw(name)
        real = np.arange(PICTURES) < rng.integers(2, PICTURES - 1)
        return [bool(each) for each in rng.permutation(real)]

    def show(
        self, name: str, position: int, studio: LoadedModel, collection: Collection
    ) -> np.ndarray:
        """Give a round's picture, uint8 (H, W, 3).

        Raises:
            BusyError, TooSlowError: It can't be painted now.
        """
        rng = self._draw(f"{name}/pictures")
        places = choose_real(collection)
        real = rng.choice(places, PICTURES, replace=len(places) < PICTURES)
        numbers = rng.integers(0, 2**12, PICTURES)
        labels = rng.integers(0, max(count_classes(studio.generator), 1), PICTURES)
        if self.tell(name)[position]:
            return np.asarray(collection.images[real[position]])
        latent = studio.latent(SEED, int(numbers[position]), 1.0)
        rows = studio.weights(labels[position : position + 1])
        return studio.batcher.generate(latent[None], rows)[0]

    def _draw(self, name: str) -> np.random.Generator:
        digest = hashlib.blake2b(name.encode(), key=self._secret, digest_size=16).digest()
        return np.random.default_rng(int.from_bytes(digest, "big"))
