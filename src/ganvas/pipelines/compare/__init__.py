"""Compare pipeline: evaluated runs side by side."""
