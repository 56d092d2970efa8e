"""The latent space of a trained generator: find images in it, edit them, and make films.

Everything works on plain arrays in W, see `ganvas.networks.latent_spaces`: intermediate latents w,
float32 (N, *`w_shape`), and with classes rows of class weights, float32 (N, K).
"""
