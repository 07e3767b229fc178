"""Run a generator in several ways: PyTorch, ONNX Runtime, OpenVINO."""
