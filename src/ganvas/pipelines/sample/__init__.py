"""Sampling: images from a saved generator."""
