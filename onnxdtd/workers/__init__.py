"""Work on the rows of a data set, in this process or shared out among several.

Read `pool` (tasks handed to processes, of which one may die), `hand` and `process` (both ends of the pipes),
`reader` (rows by their places). What is done with a row is for others to say: `datasets.work` explains it,
`metrics.work` scores it.
"""

from onnxdtd.workers.pool import DEATHS, Job, Task, at_least_one, checked, deadly, outcomes
from onnxdtd.workers.reader import Reader, check_ids, reread

__all__ = [
    "DEATHS",
    "Job",
    "Reader",
    "Task",
    "at_least_one",
    "check_ids",
    "checked",
    "deadly",
    "outcomes",
    "reread",
]
