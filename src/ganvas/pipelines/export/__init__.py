"""Export: a saved generator in formats that other programs run."""
