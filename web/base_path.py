"""Behind a proxy, the program may be below a path such as /mien: every address then begins with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

PLAIN_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")
"""Of X-Forwarded-Prefix: anything else could make a link lead elsewhere."""

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class BasePath:
    """Answers below a path as otherwise at the root, whether or not the proxy has removed that path.

    The page's own addresses are relative and need none of this; cookies and the OpenAPI description do.

        app.wsgi_app = BasePath(app.wsgi_app, "/mien")

    Args:
        app: The app.
        base_path: The path, such as "/mien"; if empty, the header X-Forwarded-Prefix names it.
    """

    def __init__(self, app: Wsgi, base_path: str = "") -> None:
        self._app = app
        self._base_path = base_path

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        path, base = environ.get("PATH_INFO", ""), self._base_path
        if base and path == base:  # relative addresses need the slash
            query = environ.get("QUERY_STRING", "")
            location = quote(f"{base}/") + (f"?{query}" if query else "")
            start_response("308 Permanent Redirect", [("Location", location), ("Content-Length", "0")])
            return []
        if base and path.startswith(f"{base}/"):
            environ["PATH_INFO"] = path[len(base) :]
        given = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        environ["SCRIPT_NAME"] = base or (given if PLAIN_PATH.fullmatch(given) else "")
        return self._app(environ, start_response)
