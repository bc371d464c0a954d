"""What a data set teaches: the rows that `batch` has explained, read together.

Read `summing` (`summarise`: means by class, a `Lesson`), `clustering` (`cluster`, by `features` and
`spectral`),
`concept` (`concepts`, by `layers` and `channels`).
"""

from onnxdtd.lessons.clustering import cluster
from onnxdtd.lessons.clusters import Clusters
from onnxdtd.lessons.concept import Concepts, concepts
from onnxdtd.lessons.lesson import Lesson
from onnxdtd.lessons.summing import summarise

__all__ = ["Clusters", "Concepts", "Lesson", "cluster", "concepts", "summarise"]
