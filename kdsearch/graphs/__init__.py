"""Trained networks as graphs that take samples as they are: ONNX files, quantized, and run."""
