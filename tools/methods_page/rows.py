"""The tables: who leads by each score, and every method by every score; and the lines of a page."""

from __future__ import annotations

import re
import textwrap

from tools.methods_page.asked import CONTROLS, Told, order, score_of, short, table, tied


def winners(study: Told) -> str:
    """For each score the best method, its mean, random's, and what is not told from it."""
    rows = []
    for score in study["scores"]:
        best, *rest = tied(study, score)
        means = (score_of(study, m, score, 3 if "area" in score else 2) for m in (best, "random"))
        more = f" and {len(rest) - 4} more" if len(rest) > 4 else ""
        names = ", ".join(f"`{m}`" for m in rest[:4]) + more
        rows.append((f"{short(score)}, {study['better'][score]}", f"`{best}`", *means, names))
    return table(("score", "best", "its mean", "`random`", "not told from the best"), rows)


def tables(told: Told) -> str:
    """docs/figures/methods.md."""
    parts = [TABLES.strip()]
    for name, title in (("digits", "held-out digits"), ("photos", "views of photographs")):
        study = told[name]
        rows = [
            (f"`{m}`", *(_cell(study, m, score) for score in study["scores"]))
            for m in (*order(study), *CONTROLS)
        ]
        parts.append(
            f"## {study['inputs']} {title}\n\n{table(('method', *map(short, study['scores'])), rows)}"
        )
    return "\n\n".join(parts) + "\n"


def _cell(study: Told, method: str, score: str) -> str:
    best, *near = tied(study, score)
    mark = " *" if method == best else " =" if method in near else ""
    return score_of(study, method, score) + mark if study["table"][method][score]["count"] else "-"


def laid(text: str) -> str:
    """Paragraphs and points of at most 120 columns; tables, headings, figures and code as they are."""
    blocks = []
    for block in text.split("\n\n"):
        if block.startswith("- "):
            points = ("- " + " ".join(point.split()) for point in block[2:].split("\n- "))
            blocks.append("\n".join(_filled(point, "  ") for point in points))
        else:
            blocks.append(block if block[:1] in "#|! " else _filled(" ".join(block.split()), ""))
    return "\n\n".join(blocks)


def _filled(words: str, indent: str) -> str:
    # An interval stays on one line, beside its mean.
    words = re.sub(r"\[(\S+), (\S+)\]", "[\\1,\xa0\\2]", words).replace(" [", "\xa0[")
    whole = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(words, 120, subsequent_indent=indent, **whole).replace("\xa0", " ")


TABLES = """
# Every method by every score

Means with bootstrap 95 % intervals, written from methods.json by `python -m tools.methods_page`. `*` is the best;
`=` what its paired difference does not tell from it. Which way each score counts, and what it is:
[evaluate.md](../evaluate.md). What it all says: [methods.md](../methods.md)."""
