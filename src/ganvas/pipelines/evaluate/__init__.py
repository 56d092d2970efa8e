"""Evaluation: figures for a trained generator."""
