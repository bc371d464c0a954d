"""onnxruntime's own operators, as its optimiser and its model builders leave them in a file, written out in standard
ones: `table` lists a definition for each, the other files here hold them."""
