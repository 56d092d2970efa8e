"""Directions pipeline: directions in a saved generator's latent space."""
