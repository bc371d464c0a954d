"""HTML and SVG from values: every text is escaped here, and no other module writes one unescaped."""

from __future__ import annotations

import base64
import html
import io
import json
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxdtd.printing import printable, shortened

LONGEST = 300
"""Characters of a text that a stranger's file gives: a label of 200,000 letters costs nothing."""
_SENTENCE = 2000
_SHARP = 30_000
"""Bytes up to which a picture is a PNG; larger ones are photographs, of which a JPEG looks the same."""


class Markup(str):
    """What is HTML already."""


def escape(text: object, most: int = LONGEST) -> Markup:
    """A text as HTML that shows it: markup, quotes, control characters and those that turn the writing are inert."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(printable(shortened(str(text), most)), quote=True))


def sentence(text: object) -> Markup:
    """The same of what we say, in which names of a stranger are parts."""
    return escape(text, _SENTENCE)


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """One element. Content that is no Markup is escaped, and so are attributes; `class_` is class, `data_x` data-x.
    None is left out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, 4_000_000)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(escape(part) for part in content if part is not None)
    return Markup(f"<{name}{words}>{inner}</{name}>")


def void(name: str, /, **attributes: object) -> Markup:
    """An element that has no content and no end."""
    return Markup(tag(name, **attributes).removesuffix(f"</{name}>"))


def joined(*parts: object) -> Markup:
    """One after the other."""
    return Markup("".join(escape(part) for part in parts if part is not None))


def data(value: Any, **attributes: object) -> Markup:
    """A value for the page's script, as JSON that cannot end its element."""
    text = json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e")
    return tag("script", Markup(text.replace("&", "\\u0026")), type="application/json", **attributes)


def png(pixels: npt.NDArray[np.uint8]) -> str:
    """Pixels (H, W, 3) as the address of a PNG picture that lies in the address itself."""
    return _address("png", _stored(pixels, "png", optimize=True))


def small(pixels: npt.NDArray[np.uint8]) -> str:
    """The same to be looked at only, so that few bytes matter more than the last bit of a colour."""
    exact = _stored(pixels, "png")
    return (
        _address("png", exact)
        if len(exact) <= _SHARP
        else _address("jpeg", _stored(pixels, "jpeg", quality=86))
    )


def _stored(pixels: npt.NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def _address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def amount(value: float) -> str:
    """Three digits, a true minus sign."""
    return f"{value:.3g}".replace("-", "−") if value else "0"


def sign(value: float) -> str:
    """The class of a colour."""
    return "for" if value > 0 else "against" if value < 0 else "none"
