"""What a data set teaches: the rows that `batch` has explained, read together.

Read `lesson` (`summarise`: means by class), `clustering` (`cluster`, by `features` and
`spectral`).
"""

from onnxdtd.lessons.clustering import cluster
from onnxdtd.lessons.clusters import Clusters
from onnxdtd.lessons.lesson import Lesson, summarise

__all__ = ["Clusters", "Lesson", "cluster", "summarise"]
