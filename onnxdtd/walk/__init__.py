"""The forward pass by onnxruntime and the walk backwards in NumPy.

Read `backward` (the walk), then `forward`, `ledger` (the books), `verify`.
"""
