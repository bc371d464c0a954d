"""Hostile models, inputs and settings, and random graphs: what onnxdtd is tried with."""
