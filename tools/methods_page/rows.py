"""The tables: who leads by each score, and every method by every score; and the lines of a page."""

from __future__ import annotations

import re
import textwrap

from tools.methods_page.asked import CONTROLS, Told, interval, order, score_of, short, tied


def winners(study: Told) -> str:
    """For each score the best method, its mean, random's, and what is not told from it."""
    lines = ["| score | best | its mean | `random` | not told from the best |", "|---|---|---|---|---|"]
    for score in study["scores"]:
        best, *rest = tied(study, score)
        means = (score_of(study, m, score, 3 if "area" in score else 2) for m in (best, "random"))
        names = ", ".join(f"`{m}`" for m in rest[:4]) + (
            f" and {len(rest) - 4} more" if len(rest) > 4 else ""
        )
        cells = (f"{short(score)}, {study['better'][score]}", f"`{best}`", *means, names)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables(told: Told) -> str:
    """docs/figures/methods.md."""
    parts = [TABLES.strip()]
    for name, title in (("digits", "held-out digits"), ("photos", "views of photographs")):
        study = told[name]
        lines = ["| method | " + " | ".join(map(short, study["scores"])) + " |"]
        lines.append("|---" * (len(study["scores"]) + 1) + "|")
        for method in (*order(study), *CONTROLS):
            cells = []
            for score in study["scores"]:
                one = study["table"][method][score]
                leaders = tied(study, score)
                mark = " *" if method == leaders[0] else " =" if method in leaders else ""
                cells.append(interval(one) + mark if one["count"] else "-")
            lines.append("| " + " | ".join((f"`{method}`", *cells)) + " |")
        parts.append(f"## {study['inputs']} {title}\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


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
    filled = textwrap.fill(
        words, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return filled.replace("\xa0", " ")


TABLES = """
# Every method by every score

Means with bootstrap 95 % intervals, written from methods.json by `python -m tools.methods_page`. `*` is the best;
`=` what its paired difference does not tell from it. Which way each score counts, and what it is:
[evaluate.md](../evaluate.md). What it all says: [methods.md](../methods.md)."""
