"""Trained networks as graphs that take samples as they are: ONNX files, quantized, and run."""

import os

# onnxruntime reports its use to its makers unless it is told otherwise before its first import
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
