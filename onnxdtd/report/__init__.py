"""A result as one HTML page that needs nothing beside it: to be opened, printed, or sent to somebody.

Read `page` (what stands on it), `facts` (what it says), `parts` (each input by its kind: `picture`, `curves`,
`waterfall`, `tokens`), `inside` (values that a run kept), then `flow` (the graph with relevance on its edges),
`fold` (what of it is drawn as one box), `layers` (where boxes stand), `drawing`. `annotated` writes the books of the
nodes into a model instead of a page.
"""

from onnxdtd.report.annotated import annotated, check_annotated, save_annotated
from onnxdtd.report.file import check_report, save_report
from onnxdtd.report.page import Entry, report_page

__all__ = [
    "Entry",
    "annotated",
    "check_annotated",
    "check_report",
    "report_page",
    "save_annotated",
    "save_report",
]
