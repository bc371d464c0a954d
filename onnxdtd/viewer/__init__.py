"""A local page to explore with: a model and an input are dropped on it, and each choice is explained at once.

Read `workspace` (what was dropped, and what may be chosen), `work` (explanation, audit, comparison by the public
functions), `jobs` (one at a time, with progress), then `page` and `app`. Explanations are shown by the report's page.
"""
