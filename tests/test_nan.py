"""JSON never carries NaN or infinity: an answer that would is an error, and all others can be parsed strictly."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from flask import jsonify

from mien.types import Analysis
from tests.web_fakes import FakeCamera, face_showing
from web.app import create_app
from web.ports import AppOptions

VALUES = [math.nan, math.inf, -math.inf]


def strict(text: str) -> object:
    def refuse(name: str) -> None:
        raise ValueError(f"no JSON: {name}")

    return json.loads(text, parse_constant=refuse)


def broken_face(value: float):
    return replace(face_showing("happy", 1), probabilities=np.full(7, value, np.float32))


@pytest.mark.parametrize("value", VALUES)
def test_no_route_answers_with_nan(value):
    camera = FakeCamera()
    camera.faces = (broken_face(value),)
    camera.publish()
    analysis = Analysis(320, 240, camera.faces, {"detect": value})
    app = create_app(camera, AppOptions(analyze=lambda *_, **__: analysis))
    client = app.test_client()
    routes = [rule.rule for rule in app.url_map.iter_rules() if "GET" in rule.methods and not rule.arguments]
    routes = [route for route in routes if route.startswith("/api") and not route.endswith("events")]
    assert {"/api/state", "/api/controls"} <= set(routes)
    answers = {route: client.get(route) for route in routes}
    answers["/api/analyze"] = client.post("/api/analyze", data=b"\xff\xd8\xff", content_type="image/jpeg")
    for route, answer in answers.items():
        if answer.mimetype == "application/json":
            strict(answer.get_data(as_text=True))
            assert answer.status_code != 200 or "happy" not in answer.text or route == "/api/openapi.json", route
    assert answers["/api/state"].status_code == answers["/api/analyze"].status_code == 500
    camera.faces = ()
    camera.publish()
    assert client.get("/api/state").status_code == 200


@pytest.mark.parametrize("value", VALUES)
def test_flask_writes_no_nan(value):
    app = create_app(FakeCamera())
    with app.test_request_context(), pytest.raises(ValueError, match="not JSON compliant"):
        jsonify(value=[value])
    with app.test_request_context():
        assert jsonify(b=1, a=2).get_data(as_text=True).startswith('{"b":'), "the order of keys is kept"
