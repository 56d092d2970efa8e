"""The objects that all views share: `services` is those of the current application."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from flask import current_app
from werkzeug.local import LocalProxy

from ganvas.gallery.discriminator_scores import DiscriminatorScorer
from ganvas.gallery.game import Game
from ganvas.gallery.inverter import ImageInverter
from ganvas.gallery.model_store import ModelStore

EXTENSION = "ganvas_gallery"


@dataclass(frozen=True)
class Services:
    """The services of an application; `data` is the project's data folder."""

    models: ModelStore
    scorer: DiscriminatorScorer
    inverter: ImageInverter
    game: Game
    data: Path


services = cast(Services, LocalProxy(lambda: current_app.extensions[EXTENSION]))
