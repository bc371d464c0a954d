"""The work of `view`, loaded when it runs."""

from __future__ import annotations

import math
import secrets
import tempfile
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxdtd
from onnxdtd.cli.job import explainer_for
from onnxdtd.cli.text import message
from onnxdtd.errors import Faults, UsageError
from onnxdtd.inputs import input_file
from onnxdtd.memory import limited, size_of
from onnxdtd.viewer.app import HOST, Viewer
from onnxdtd.viewer.jobs import Jobs
from onnxdtd.viewer.workspace import Workspace
from onnxdtd.web.running import Leaving, address_of, bound, run

GRACE = 2.0
"""Seconds for what is being sent when the viewer is to end."""


def view(
    model: Path | None,
    input: Path | None,
    port: int,
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    timeout: float,
    upload: str,
    memory: str | None,
    opens: bool,
) -> str:
    """Serve the page until a signal asks to end. Raises UsageError, all faults at once, before it listens."""

    def open_model(path: Path) -> onnxdtd.Explainer:
        faults = Faults()
        explainer = explainer_for(faults, path, preprocess=preprocess, image=image, **options)
        faults.stop()
        assert explainer is not None  # or there was a fault
        return explainer

    faults, room = Faults(), 0
    with faults:
        room = size_of(upload)
    with faults:
        if not 0 < timeout < math.inf:
            raise UsageError(f"--timeout {timeout:g}: give a number of seconds above 0")
    with faults:
        if model is not None and not model.is_file():
            raise UsageError(f"'{model}' is not a file")
    with faults:
        if input is not None:
            input_file(input)
    faults.stop()
    with limited(None if memory is None else size_of(memory)), tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder), open_model, room)
        held = tuple("" if path is None else workspace.hold(path) for path in (model, input))
        listener, token = bound(HOST, port), secrets.token_urlsafe(16)
        address = f"{address_of(listener)}/?token={token}"
        message(f"open {address} in a browser on this machine; Ctrl-C ends it")
        if opens:
            webbrowser.open(address)
        jobs = Jobs(timeout)
        run(Viewer(workspace, jobs, (held[0], held[1])).app(token), listener, grace=GRACE, leaving=Leaving())
        jobs.close()
    return "closed"
