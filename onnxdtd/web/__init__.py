"""What the server and the viewer share: who may ask and how much, faults as JSON, and a stop that loses nothing.

Read `guard` (who may ask), `body` (how much), `faults` (what goes wrong), `running` (from the first request to the
last). The packages that it needs come with the extra `serve`; `needed` says so where they are missing.
"""
