"""What a result says, in words: the summary, the picture and the audit take them from here, so that all say the same.

Read `shows` (what the picture shows), `shares` (of what the number is made), `caption` (title and grey line).
"""

import onnxdtd.methods
import onnxdtd.passes  # noqa: F401 (a result that was read from disk needs the tables of both, too)
from onnxdtd.reading.caption import asked, caption, set_aside, title, unit
from onnxdtd.reading.samples import by_sample
from onnxdtd.reading.shares import GROWS, blown_up, grown, owed, parts, shares
from onnxdtd.reading.shows import box_in, column_names, columns, headings, images, in_pixels, shows
from onnxdtd.reading.words import text_input, word_labels, words

__all__ = [
    "GROWS", "asked", "blown_up", "box_in", "by_sample", "caption", "column_names", "columns", "grown", "headings",
    "images", "in_pixels", "owed", "parts", "set_aside", "shares", "shows", "text_input", "title", "unit",
    "word_labels", "words",
]  # fmt: skip
