"""Film pipeline: a film through keyframes in the latent space of a saved generator."""
