"""Deletion scores of all methods on trained text models that packages ship."""
