"""Inversion: from images to the latents whose generated images are most like them."""
