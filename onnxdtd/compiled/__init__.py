"""The walk traced into one ONNX model: `trace` writes it, `sessions` keeps it ready, `export` stores it."""
