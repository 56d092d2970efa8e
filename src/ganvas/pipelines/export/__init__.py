"""Export pipeline: a saved generator as ONNX and LiteRT files."""
