"""Whole data sets: explained in shards that survive what machines do, and read back row by row.

Read `job` (`batch`), `task` (what is handed out), `passes` (its rows explained), `columns` (what is stored of a row),
`shard` (the file), `work` (these together), `record` (which rows are done, for which settings), `actors` (several
machines; several processes are `workers`), `results` (reading).
"""

from onnxdtd.datasets.columns import Store
from onnxdtd.datasets.job import batch
from onnxdtd.datasets.ray import Ray
from onnxdtd.datasets.results import Results
from onnxdtd.datasets.tally import Tally

__all__ = ["Ray", "Results", "Store", "Tally", "batch"]
