"""The work of `serve`, loaded when it runs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxdtd.cli.job import explainer_for
from onnxdtd.cli.text import message
from onnxdtd.errors import Faults, PartialError, UsageError
from onnxdtd.memory import limited, size_of
from onnxdtd.printing import printable
from onnxdtd.server.app import Limits, Service
from onnxdtd.server.model import Served, prepared
from onnxdtd.web.guard import is_loopback
from onnxdtd.web.running import Leaving, address_of, bound, run


def serve(
    models: Sequence[Path],
    host: str,
    port: int,
    token: str | None,
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    bounds: Mapping[str, Any],
    memory: str | None,
) -> str:
    """Make the models ready, serve them until a signal asks to end, and tell how many requests were answered. All
    faults of the start at once. Raises PartialError where a request that was accepted got no answer."""
    faults, served, limits = Faults(), list[Served](), Limits()
    with faults:
        limits = _limits(bounds)
    with faults:
        _check_token(token)
    with limited(None if memory is None else size_of(memory)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy
        for name, path in _named(models, faults).items():
            explainer = explainer_for(faults, path, preprocess=preprocess, image=image, **options)
            with faults:
                if explainer:
                    served.append(prepared(name, explainer))
        faults.stop()
        listener, leaving = bound(host, port), Leaving()
        service = Service(served, limits, leaving)
        names = ", ".join(model.name for model in served)
        message(f"serving {names} at {address_of(listener)} until Ctrl-C or SIGTERM")
        if token is None and not is_loopback(host):
            message(
                "warning: whoever reaches this machine may ask: --token, or a network that lets only some in"
            )
        whole = run(service.app(host, token), listener, grace=bounds["grace"], leaving=leaving)
    answered, accepted = (service.metrics.total(f"onnxdtd_{word}_total") for word in ("answered", "accepted"))
    if whole:
        service.close()
    if answered < accepted:
        raise PartialError(f"stopped: {accepted - answered} of {accepted} requests got no answer in time")
    return f"stopped: {answered} requests, all answered"


def _named(models: Sequence[Path], faults: Faults) -> dict[str, Path]:
    """Each model by the name of its file without the suffix."""
    named: dict[str, Path] = {}
    for path in models:
        with faults:
            name = printable(path.stem)
            if ":" in name or "/" in name or not name:
                raise UsageError(f"'{path}': no model can be asked for by the name {name!r}: rename the file")
            if name in named:
                raise UsageError(
                    f"'{named[name]}' and '{path}' would both be served as '{name}': rename one of the files"
                )
            named[name] = path
    return named


def _limits(bounds: Mapping[str, Any]) -> Limits:
    for name, least in (("queue", 1), ("batch", 1)):
        if bounds[name] < least:
            raise UsageError(f"--{name} {bounds[name]}: give a number from {least} on")
    for name in ("timeout", "grace"):
        if not 0 < bounds[name] < math.inf:
            raise UsageError(f"--{name} {bounds[name]:g}: give a number of seconds above 0")
    return Limits(
        seconds=bounds["timeout"], body=size_of(bounds["body"]), waiting=bounds["queue"], rows=bounds["batch"]
    )


def _check_token(token: str | None) -> None:
    if token is not None and (not token or not token.isascii() or not token.isprintable() or " " in token):
        raise UsageError("--token: a token is one word of ASCII letters, digits and signs")
