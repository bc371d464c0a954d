"""Packages of extras, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from onnxdtd.errors import UsageError


def sklearn(module: str) -> Any:
    """One of scikit-learn's modules. Raises UsageError where it is missing."""
    return _library(f"sklearn.{module}", "clusters are found by scikit-learn", "cluster")


def scipy(module: str) -> Any:
    """One of scipy's modules, which scikit-learn brings. Raises UsageError where it is missing."""
    return _library(f"scipy.{module}", "clusters are found by scikit-learn", "cluster")


def h5py() -> Any:
    """The package h5py. Raises UsageError where it is missing."""
    return _library("h5py", "ViRelAy's files are HDF5, which h5py writes", "virelay")


def umap() -> Any:
    """umap-learn, None where it is not installed."""
    try:
        return importlib.import_module("umap")
    except ImportError:
        return None


def _library(module: str, why: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UsageError(f'{why}: pip install "onnxdtd[{extra}]"') from None
