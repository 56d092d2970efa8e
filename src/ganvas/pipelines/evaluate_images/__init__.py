"""Evaluation of images that another program has generated."""
