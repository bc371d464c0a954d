"""Options that several commands share. `readable=False`: whether a file can be read is told with all other faults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxdtd.errors import UsageError

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The ONNX model.", readable=False, show_default=False)
]
Method = Annotated[
    str,
    typer.Option("--method", "-m", metavar="M", help="One of `onnxdtd methods`; auto picks by the graph."),
]
Rules = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml", readable=False, help="Other rules for chosen nodes, see `onnxdtd rules --help`."
    ),
]
StrictRules = Annotated[
    bool, typer.Option("--strict-rules", help="Refuse rules that match no node, instead of a warning.")
]
Bias = Annotated[
    str | None,
    typer.Option(
        metavar="B",
        help="absorb (biases keep their share) or redistribute (the inputs get it all). [default: the method's]",
    ),
]
InputRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="LO HI",
        help="Least and largest value of the input, such as 0 1; Deep Taylor starts from it. "
        "[default: what the model's metadata say]",
    ),
]
Fixed = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="Make an input a constant, such as sr=16000, flag=true, k=[1,2] or mask=FILE.npy: it is not asked for, "
        "and not explained; may be repeated.",
    ),
]
Background = Annotated[
    Path | None,
    typer.Option(
        metavar="ROWS",
        readable=False,
        help="Tree ensembles: rows of your data, in a file as INPUT, by which their samples are counted and "
        "tree_shap leaves features out.",
    ),
]
MaxSteps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="End a loop whose number of steps the model leaves open after this many, with exit code 2 (100000).",
    ),
]
NoCache = Annotated[
    bool,
    typer.Option("--no-cache", help="Neither read nor keep compiled walks in your folder for caches."),
]
Like = Annotated[
    Path | None,
    typer.Option(
        metavar="INPUT",
        readable=False,
        help="An input whose branches are taken, where the model has branches that an input decides.",
    ),
]
_TARGET = (
    "What to explain: a class by index (3) or name, an index tuple (0,3) or slices (1,:,:), an output and index "
    "(logits:3), box:best, logits[last], 'A - B', 'A - rest', mask:FILE.npy, or top: what the output suggests, "
    "such as the arg-max."
)
Targets = Annotated[
    list[str],
    typer.Option("--target", "-t", metavar="T", help=f"{_TARGET} May be repeated: each is explained."),
]
Target = Annotated[list[str], typer.Option("--target", "-t", metavar="T", help=_TARGET)]
"""Of a command that takes one, see `one`; a list, since of several none may be dropped."""


def one(targets: list[str]) -> str:
    """The target of a command that takes one. Raises UsageError for several, since none of them may be dropped."""
    if len(targets) > 1:
        raise UsageError(
            f"--target is given {len(targets)} times, and this command takes one: run it for each"
        )
    return targets[0]


Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="For a method of many passes, such as steps=128; may be repeated.",
    ),
]
FailOn = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FINDING",
        help="Exit with 5 if it fires, `any`: if one does; may be repeated.",
        show_default=False,
    ),
]
NoAudit = Annotated[
    bool,
    typer.Option(
        "--no-audit", help="Leave out what says how far to trust it: the walks of four findings less."
    ),
]
Occlude = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="For occlusion of tokens: the one that covers each, by number, or with a tokenizer mask, pad or unk; "
        "the same as --set occlude=ID.",
    ),
]


def settings_of(settings: list[str] | None, **own: object) -> list[str]:
    """What `--set` says, and options that stand for one setting of a method."""
    return [*(settings or ()), *(f"{name}={value}" for name, value in own.items() if value is not None)]


Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]
Input = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        help=".npy, .npz (arrays by input name), .csv, .pb, or an image.",
        readable=False,
        show_default=False,
    ),
]
Inputs = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT...",
        help=".npy, .npz (arrays by input name), .csv, .pb, an image, or a folder of them; one or many.",
        readable=False,
        show_default=False,
    ),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", readable=False, help="Folder of the result.")
]
Provider = Annotated[
    list[str] | None,
    typer.Option(metavar="P", help="Where onnxruntime runs: cpu, cuda, ...; may be repeated. [default: cpu]"),
]

# How an image is prepared; what is not given is as the model's metadata say.
Preprocess = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="Image: TOML or JSON file with the fields that follow. [default: what the model's metadata say]",
    ),
]
Color = Annotated[str | None, typer.Option(metavar="C", help="Image: RGB, BGR or L (grey).")]
Resize = Annotated[
    str | None, typer.Option(metavar="N|H,W", help="Image: the shorter side, or height and width.")
]
Crop = Annotated[str | None, typer.Option(metavar="N|H,W", help="Image: then the centre of this size.")]
Interpolation = Annotated[
    str | None, typer.Option(metavar="I", help="Image: nearest, bilinear, bicubic, lanczos, box or hamming.")
]
Scale = Annotated[
    float | None, typer.Option(metavar="S", help="Image: factor for its pixels, which are 0 to 255.")
]
Mean = Annotated[str | None, typer.Option(metavar="M|R,G,B", help="Image: then subtracted.")]
Std = Annotated[str | None, typer.Option(metavar="S|R,G,B", help="Image: then divided by.")]
Layout = Annotated[
    str | None, typer.Option(metavar="L", help="Image: NCHW or NHWC. [default: as the model's shape tells]")
]

Preset = Annotated[
    str | None,
    typer.Option(
        metavar="P",
        help="Image: imagenet (torchvision's), caffe (BGR minus ImageNet's mean), unit (0 to 1) or symmetric "
        "(-1 to 1), scaled to the size that the model takes.",
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", readable=False, help="Names of the classes: a text file, one a line, or a JSON list."
    ),
]
Features = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", readable=False, help="Names of a table's columns in the model's order, as --labels."
    ),
]
