"""Report pipeline: a run's images, curves and metrics on one page, and its model card."""
