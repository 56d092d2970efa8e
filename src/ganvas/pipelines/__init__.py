"""Pipelines, one package for each stage: nodes with their inputs and outputs; no algorithms."""
