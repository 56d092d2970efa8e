"""Frozen pretrained networks, for discriminators and for metrics."""
