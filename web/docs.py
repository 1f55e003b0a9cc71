"""The description of the interface, for programs and for people."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template

from web.openapi import DOCUMENT


def blueprint() -> Blueprint:
    """Routes of the description."""
    routes = Blueprint("docs", __name__)

    @routes.get("/api/openapi.json")
    def document() -> Response:
        return jsonify(DOCUMENT)

    @routes.get("/api")
    def page() -> str:
        return render_template("api.html", api=DOCUMENT)

    return routes
