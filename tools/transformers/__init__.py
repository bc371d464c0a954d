"""Transformers as they are exported, optimised and deployed: which files are explained, and how alike."""
