"""Models and their explanations over HTTP: the Open Inference Protocol (v2), KServe's V1, Prometheus.

Read `question` (what is asked), `model` (what is answered), `waiting` (a bounded queue, equal shapes together), then
the protocols: `tensors` (JSON and binary), `v2`, `v1`, and `app` (the routes). `metrics` counts.
"""
