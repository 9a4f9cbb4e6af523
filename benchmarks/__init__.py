"""Measurements; run by hand."""

import os

# Set before anything here imports ONNX Runtime, which else reports to its maker.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
