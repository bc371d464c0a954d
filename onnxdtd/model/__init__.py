"""The model: load it, see it as a graph, bring it to canonical form, find each value's domain."""
