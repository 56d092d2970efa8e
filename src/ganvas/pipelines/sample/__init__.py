"""Sample pipeline: images from a saved generator."""
