"""Error answers: JSON below /api/, a small HTML page everywhere else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from flask import jsonify, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException, Unauthorized
from werkzeug.wrappers import Response

from web.security import HEADERS
from web.texts import public

ERROR_PAGE = Markup(
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{name} · Mien</title>{style}"
    '<main class="error"><h1>{name}</h1><p>{text}</p>{next_step}</main></html>'
)
STYLE_SHEET = Markup('<link rel="stylesheet" href="{root}static/style.css">')
BACK = Markup('<p><a href="{root}">Back to the picture</a></p>')
TOKEN_FORM = Markup(
    '<form action="{root}"><label>Token <input name="token" type="password" autocomplete="off" required></label> '
    "<button>Open</button></form>"
)

# Without the token the style sheet cannot be loaded either, so this one page has its style inline.
PLAIN_RULES = (
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:36rem;margin:15vh auto;padding:0 1rem}"
    "input,button{font:inherit;padding:.4rem .6rem}"
)
PLAIN_STYLE = Markup(f"<style>{PLAIN_RULES}</style>")
PLAIN_STYLE_HASH = f"'sha256-{b64encode(sha256(PLAIN_RULES.encode()).digest()).decode()}'"
POLICY = "Content-Security-Policy"


def answer(error: HTTPException) -> Response:
    """Answer an HTTP error with JSON below /api/, else with a small HTML page.

    Args:
        error: The error; its description becomes the text.
    """
    text = public(error.description or error.name)
    response = error.get_response()  # with the status and headers such as Allow
    if request.path.startswith("/api/"):
        response.mimetype = "application/json"
        response.data = jsonify(error=text).data
        return response
    root = path_to_root(request.path)
    style, next_step = STYLE_SHEET.format(root=root), BACK.format(root=root)
    if isinstance(error, Unauthorized):
        style, next_step = PLAIN_STYLE, TOKEN_FORM.format(root=root)
        response.headers[POLICY] = HEADERS[POLICY].replace("style-src 'self'", f"style-src {PLAIN_STYLE_HASH}")
    response.data = ERROR_PAGE.format(name=error.name, text=text, style=style, next_step=next_step)
    return response


def path_to_root(path: str) -> str:
    """The relative address of the live page, which is right whatever path a proxy adds before ours.

    Args:
        path: The path of the page that refers to it, such as "/static/none.js".

    Returns:
        "./" or "../", "../../" and so on.
    """
    return "../" * (path.count("/") - 1) or "./"
