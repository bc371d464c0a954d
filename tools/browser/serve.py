"""Serve the page on this machine alone.

python -m tools.browser.serve [PORT]             # 8000; then open http://127.0.0.1:8000/
"""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"
RUNTIME = Path("node_modules", "onnxruntime-web", "dist", "ort.wasm.min.mjs")


class Handler(SimpleHTTPRequestHandler):
    """Files with the types that browsers insist on: modules as JavaScript, WebAssembly as itself."""

    extensions_map: ClassVar = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
    }

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # ask again, so that a new explainer is seen at once
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: what goes wrong is said in the page."""


def server(folder: Path = HERE, port: int = 0) -> ThreadingHTTPServer:
    """A server of `folder` on loopback; port 0 takes a free one (`server_port`)."""
    return ThreadingHTTPServer((LOOPBACK, port), partial(Handler, directory=str(folder)))


def missing(folder: Path) -> list[str]:
    """What must be done before the page works."""
    steps = {
        RUNTIME: "npm ci --ignore-scripts --prefix tools/browser",
        Path("explainers", "index.json"): "python -m tools.browser.explainers",
    }
    return [command for path, command in steps.items() if not (folder / path).is_file()]


def main(port: int = 8000) -> None:
    if todo := missing(HERE):
        raise SystemExit(f"first run: {' && '.join(todo)}")
    with server(HERE, port) as served:
        print(f"http://{LOOPBACK}:{served.server_port}/ (Ctrl+C ends it)", flush=True)
        try:
            served.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
