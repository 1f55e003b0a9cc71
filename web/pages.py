"""The pages for people: the live page, the description of the HTTP API, and the model card."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from flask import Blueprint, current_app, render_template, request
from markupsafe import Markup, escape

from mien.types import EXPRESSIONS
from web import languages
from web.openapi import HTML, Answer, Operation, document
from web.ports import AppOptions, Camera
from web.security import BARS, is_framed

ROOT = Path(__file__).resolve().parent.parent  # so that the program runs from any working directory

CLASSIC_SCRIPT = "early_connect.js"

STAGE = "stage"
"""The view for programs such as OBS: the picture and its labels."""

VIEWS = (
    {
        "name": "view",
        "in": "query",
        "schema": {"type": "string"},
        "description": f"{STAGE}: only the picture with its labels; {BARS}: only the bars of each face; others: all.",
    },
    {
        "name": "background",
        "in": "query",
        "schema": {"type": "string"},
        "description": "transparent: for these views, nothing is painted around the picture or behind the bars.",
    },
    {
        "name": "picture",
        "in": "query",
        "schema": {"type": "string"},
        "description": "off: for view=stage, boxes and labels without the picture.",
    },
    languages.PARAMETER,
)

NO_LANDMARKS = "This program finds no landmarks."

MODULES = sorted(path.name for path in (ROOT / "static").glob("*.js") if path.name != CLASSIC_SCRIPT)
"""Listed in the page, so that the browser fetches all of them at once instead of following one import after the other.
The classic script is not a module: it runs before them."""


def blueprint(camera: Camera, options: AppOptions) -> Blueprint:
    """Routes of the pages.

    Args:
        camera: Opened again if idle when the live page is requested.
        options: Names of network and detector, and the initial threshold, for the page.
    """
    routes = Blueprint("pages", __name__)

    @routes.get("/")
    @Operation("The live page.", Answer(200, "HTML.", HTML), parameters=VIEWS)
    def index() -> str:
        if not is_framed(request.headers):
            camera.keep_awake()  # the page requests pictures as soon as it is loaded
        view = request.args.get("view")
        return render_template(
            "index.html",
            expressions=EXPRESSIONS,
            model_name=options.model_name,
            detector_name=options.detectors.current if options.detectors else options.detector_name,
            unsure=options.unsure,
            min_quality=options.min_quality,
            landmarks_missing=NO_LANDMARKS if options.landmarks is None else options.landmarks.missing,
            modules=MODULES,
            only=view if view in (STAGE, BARS) else None,
            transparent=request.args.get("background") == "transparent",
            no_picture=request.args.get("picture") == "off",
        )

    @routes.get("/api")
    @Operation("This description, for reading.", Answer(200, "HTML.", HTML))
    def interface() -> str:
        return render_template("api.html", api=document(current_app))

    @routes.get("/model-card")
    @Operation("What the network cannot know, what it was trained on, and its figures.", Answer(200, "HTML.", HTML))
    def model_card() -> str:
        return render_template("card.html", card=render_card(ROOT / "MODEL_CARD.md"))

    return routes


@cache
def render_card(path: Path) -> Markup:
    """A Markdown file of this program as HTML, its headings one level lower.

    Links and pictures become text: they name files of the source code, which is not served.

    Args:
        path: The file; rendered once while the program runs.
    """
    from markdown_it import MarkdownIt  # takes 30 ms, and few viewers read the card

    markdown = MarkdownIt("commonmark").enable("table")
    rules = dict.fromkeys(("link_open", "link_close"), lambda *_: "")
    rules["image"] = lambda tokens, index, *_: escape(tokens[index].content)
    markdown.renderer.rules |= rules  # type: ignore[attr-defined]
    tokens = markdown.parse(path.read_text(encoding="utf-8"))
    for token in tokens:
        if token.type.startswith("heading"):
            token.tag = f"h{int(token.tag[1:]) + 1}"
        elif token.type in ("code_block", "table_open"):
            token.attrSet("tabindex", "0")  # it may scroll, which the keyboard must be able to do
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))
