"""What the graph alone tells: which nodes the walk visits, in which order, with which rule, from which target.

Read `plan` first, then `reach` (how relevance can get to the inputs), `target`, `facts`.
"""
