"""A result as one HTML page that needs nothing beside it: to be opened, printed, or sent to somebody.

Read `page` (what stands on it), `facts` (what it says), `parts` (each input by its kind: `picture`, `curves`,
`waterfall`, `tokens`), then `flow` (the graph with relevance on its edges), `fold` (what of it is drawn as one box),
`layers` (where boxes stand), `drawing`.
"""

from onnxdtd.report.file import check_report, save_report
from onnxdtd.report.page import Entry, report_page

__all__ = ["Entry", "check_report", "report_page", "save_report"]
