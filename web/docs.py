"""The description of the interface, for programs and for people."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, jsonify, render_template

from web.openapi import DOCUMENT

MODEL_CARD = Path(__file__).resolve().parent.parent / "MODEL_CARD.md"


def blueprint() -> Blueprint:
    """Routes of the description."""
    routes = Blueprint("docs", __name__)

    @routes.get("/api/openapi.json")
    def document() -> Response:
        return jsonify(DOCUMENT)

    @routes.get("/api")
    def page() -> str:
        return render_template("api.html", api=DOCUMENT)

    @routes.get("/model-card")
    def model_card() -> str:
        return render_template("card.html", card=MODEL_CARD.read_text(encoding="utf-8"))

    return routes
