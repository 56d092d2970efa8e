"""Sampling: pictures from a saved generator."""
