"""The sample collection: images in eight styles, drawn by code from a seed."""

from ganvas.sample_collection.build_collection import STYLES, draw_collection, draw_image

__all__ = ["STYLES", "draw_collection", "draw_image"]
