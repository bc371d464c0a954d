"""`onnxdtd serve`: models and their explanations over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options, texts
from onnxdtd.cli.groups import grouped
from onnxdtd.cli.stopping import Memory
from onnxdtd.web.needed import check_packages

TOKEN = "ONNXDTD_TOKEN"
EXAMPLES = """\b
Examples:
  onnxdtd serve model.onnx
  onnxdtd serve digits.onnx wine.onnx --port 8080 --method dtd --input-range 0 1
  curl localhost:8000/v2/models/model
  curl localhost:8000/v1/models/model:explain -d '{"instances": [[0.1, 0.7]]}'

It speaks the Open Inference Protocol (v2, JSON and binary) and KServe's V1, and stops tidily on SIGTERM: what was
accepted is answered. The extra `serve` brings what it needs: pip install "onnxdtd[serve]"."""


@grouped
def serve(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...",
            help="ONNX models; each is named after its file.",
            readable=False,
            show_default=False,
        ),
    ],
    host: Annotated[
        str, typer.Option(metavar="H", help="Where to listen; 0.0.0.0: everywhere.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="0: any that is free.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help=f"What requests must send as Authorization: Bearer T. [default: the environment's {TOKEN}]",
        ),
    ] = None,
    method: options.Method = "auto",
    engine: Annotated[
        str,
        typer.Option("--engine", "-e", metavar="E", help="onnx, numpy, or auto: onnx where it can compile."),
    ] = "onnx",
    settings: options.Settings = None,
    explainer: Any = None,
    no_cache: options.NoCache = False,
    tokenizer: texts.Tokenizer = None,
    preprocess: options.Preprocess = None,
    image: Any = None,
    timeout: Annotated[
        float, typer.Option(metavar="S", help="Seconds after which a request is refused, its wait counted.")
    ] = 60.0,
    queue: Annotated[
        int, typer.Option(metavar="N", help="Requests that may wait for a model; others are told 429.")
    ] = 64,
    batch: Annotated[
        int, typer.Option(metavar="N", help="Samples that may share a pass, of requests of equal shapes.")
    ] = 32,
    body: Annotated[str, typer.Option(metavar="SIZE", help="The largest request, such as 64M.")] = "64M",
    grace: Annotated[
        float, typer.Option(metavar="S", help="Seconds for what is outstanding when the server is to stop.")
    ] = 30.0,
    memory: Memory = None,
) -> str:
    """Serve predictions and explanations over HTTP until a signal asks to stop."""
    check_packages()
    from onnxdtd.cli import serve_job

    return serve_job.serve(
        models,
        host,
        port,
        os.environ.get(TOKEN) if token is None else token,
        {"method": method, "engine": engine, "settings": settings or (), "tokenizer": tokenizer,
         "cache_dir": False if no_cache else None, **explainer},
        preprocess,
        image,
        {"timeout": timeout, "queue": queue, "batch": batch, "grace": grace, "body": body},
        memory,
    )  # fmt: skip
