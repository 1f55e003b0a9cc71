"""Static texts, such as scripts and style sheets, as gzip: a quarter of their size.

Nothing else is compressed: pictures cannot be, and the length of a compressed answer that mixes secrets with what a
client has sent would betray the secrets (BREACH).
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

TYPES = frozenset({"text/javascript", "application/javascript", "text/css", "image/svg+xml", "application/json"})

MAX_FILES = 200
"""Files kept compressed; there are about sixty."""


def compress_static(app: Flask) -> None:
    """Answer requests for static texts with gzip where the client accepts it.

    Args:
        app: The app, with a static folder.
    """
    folder = Path(app.static_folder or "")

    @app.after_request
    def compress(response: Response) -> Response:
        if request.endpoint != "static" or response.mimetype not in TYPES:
            return response
        response.vary.add("Accept-Encoding")
        etag, _ = response.get_etag()
        if response.status_code != 200 or not etag or not request.accept_encodings["gzip"]:
            return response
        path = folder / str((request.view_args or {})["filename"])
        opened: Any = response.response  # the file, which is not needed
        response.direct_passthrough = False
        response.set_data(_compressed(path, etag))
        opened.close()
        response.content_encoding = "gzip"
        response.set_etag(etag, weak=True)  # the same content in other bytes
        return response


@lru_cache(MAX_FILES)
def _compressed(path: Path, etag: str) -> bytes:
    """A file as gzip; the ETag tells versions apart."""
    del etag
    return gzip.compress(path.read_bytes(), mtime=0)
