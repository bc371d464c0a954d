"""Tree ensembles of ai.onnx.ml as arrays: read from a node (`read`), what they are (`forest`), and how much each
feature contributes, as Saabas (`forest`) and as Shapley (`shapley`) share it."""
