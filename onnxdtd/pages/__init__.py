"""What a command has left in a folder, as one HTML page: of which kind it is, the folder's own manifest says.

Read `kinds` (which folder has which page), then a page: `run`, `results`, `audit`, `audits`, `compare`, `pair`,
`evaluation`, `batch`, `lessons`. They read by the loaders of the rooms below, and draw by `intervals`, `curves`,
`gallery`, `swarms` and the parts of `report`.
"""

from onnxdtd.pages.kinds import folder_page

__all__ = ["folder_page"]
