"""`onnxdtd batch`: explain a whole data set, so that it goes on where it stopped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer

from onnxdtd.cli import options
from onnxdtd.cli.groups import grouped

EXAMPLES = """\b
Examples:
  onnxdtd batch model.onnx photos/ -o job --preset imagenet --workers 2
  onnxdtd batch model.onnx rows.npz -o job --dtype float16 --shard-rows 1024
  onnxdtd batch model.onnx table.csv -o job --dry-run
  onnxdtd batch model.onnx photos/ -o job --preset imagenet --ray auto

The folder holds manifest.json, shards/ (Parquet) and failed.jsonl; onnxdtd.Results reads it. Interrupted, the
same command goes on where it stopped. Exit code 6: finished, and some rows failed."""

_ADDRESS = re.compile(r"local|auto|ray://.+|[^/]+:\d+")


def with_address(words: Sequence[str]) -> list[str]:
    """The words of the command line, where --ray has an address: the next word, if it is one, else `local`."""
    return [
        f"{word}=local" if word == "--ray" and not _ADDRESS.fullmatch(follower) else word
        for word, follower in zip_longest(words, words[1:], fillvalue="")
    ]


@grouped
def batch(
    model: options.Model,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="A folder of images (its sub-folders are labels), or files: images, .npy or .npz "
            "(rows), .csv, .parquet, a WebDataset .tar, or a list of files (.txt).",
            readable=False,
            show_default=False,
        ),
    ],
    output: options.Output = Path("onnxdtd-batch"),
    target: options.Target = ["top"],  # noqa: B006 (typer reads it, nobody changes it)
    method: options.Method = "auto",
    settings: options.Settings = None,
    shard_rows: Annotated[int, typer.Option(metavar="N", help="Rows of a Parquet file.")] = 256,
    store: Annotated[
        str,
        typer.Option(metavar="S", help="relevance (of every element), sum (over each input) or none."),
    ] = "relevance",
    dtype: Annotated[
        str, typer.Option(metavar="D", help="Of the relevance: float32 or float16.")
    ] = "float32",
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Store relevance at values inside too; may be repeated."),
    ] = None,
    overlays: Annotated[
        bool, typer.Option("--overlays", help="Draw a picture of each row, and a contact sheet.")
    ] = False,
    audit: Annotated[
        bool,
        typer.Option("--audit", help="All quick findings of each row: some walks more, one row at a time."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processes, which share the cores; with --ray actors. [default: 1; as many as the cluster holds]",
            show_default=False,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="On a Ray cluster: host:port, auto (the one that this machine belongs to), or local (the default).",
        ),
    ] = None,
    cpus: Annotated[
        float | None,
        typer.Option(metavar="N", help="With --ray: cores, and threads, of an actor. [default: 1]"),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(metavar="N", help="With --ray: GPUs of an actor, such as .25. [default: 0]"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first rows. [default: all]", show_default=False)
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try the rows again that failed before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Explain a few rows, and foretell rows, bytes and hours.")
    ] = False,
    explainer: Any = None,
    strict_rules: options.StrictRules = False,
    engine: Annotated[
        str, typer.Option(metavar="E", help="numpy, onnx, or auto: onnx where it can be had and pays.")
    ] = "auto",
    no_cache: options.NoCache = False,
    preprocess: options.Preprocess = None,
    image: Any = None,
    json_: Annotated[
        bool, typer.Option("--json", help="A JSON object a line on stdout: one for each shard, then the end.")
    ] = False,
) -> str:
    """Explain a whole data set into Parquet shards, with bounded memory, on one or several processes."""
    from onnxdtd.cli import batch_job

    return batch_job.explain(
        model,
        data,
        output,
        options.one(target),
        {"method": method, "engine": engine, "settings": settings or (), "strict_rules": strict_rules,
         "cache_dir": False if no_cache else None, **explainer},
        preprocess,
        image,
        store={"what": store, "dtype": dtype, "keep": tuple(keep or ()), "audit": audit, "overlays": overlays},
        shard_rows=shard_rows,
        workers=workers,
        ray={"address": ray, "cpus": cpus, "gpus": gpus},
        limit=limit,
        retry_failed=retry_failed,
        dry_run=dry_run,
        as_json=json_,
    )  # fmt: skip
