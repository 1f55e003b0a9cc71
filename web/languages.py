"""The languages of the pages: static/texts/ has a file for each, and each viewer gets the one that suits best."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, request
from werkzeug import Request

ENGLISH = "en"
"""The language that has all texts, and that is used where no other suits."""

COOKIE = "mien-language"
"""Holds the language that was chosen on the page; static/language.js sets it."""

PARAMETER = {
    "name": "lang",
    "in": "query",
    "schema": {"type": "string"},
    "description": "The language of the page, such as de; without it, the one chosen on the page, else the browser's.",
}

Texts = dict[str, Any]


@dataclass(frozen=True)
class Language:
    """One language.

    Args:
        code: As in BCP 47, such as "de".
        name: What it calls itself.
        texts: All texts, in groups; English where it has none.
        files: Names of the files that a page loads, texts of later ones replace those of earlier ones.
    """

    code: str
    name: str
    texts: Texts
    files: tuple[str, ...]


@cache
def read_languages(folder: Path) -> dict[str, Language]:
    """All languages by their codes, in the order of their names.

    Args:
        folder: Its files are named CODE.json; en.json is one of them.
    """
    own = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    english = own[ENGLISH]
    languages = []
    for code, texts in own.items():
        complete = merged(english, texts)
        files = (code,) if complete == texts else (ENGLISH, code)
        languages.append(Language(code, texts["name"], complete, files))
    return {language.code: language for language in sorted(languages, key=lambda language: language.name)}


def merged(base: Texts, own: Texts) -> Texts:
    """The texts of a language, and those of another where it has none.

    Args:
        base: Texts in groups; a group with the key "other" is one text with plural forms.
        own: Those that replace them.
    """
    texts = {**base, **own}
    for key in base.keys() & own.keys():
        if isinstance(base[key], dict) and isinstance(own[key], dict) and "other" not in own[key]:
            texts[key] = merged(base[key], own[key])
    return texts


def choose(request: Request, languages: dict[str, Language]) -> Language:
    """The language for a request: that in its address, else the one chosen on the page, else the browser's.

    Args:
        request: Its query, cookies and Accept-Language count.
        languages: As from `read_languages`.
    """
    for code in (request.args.get("lang"), request.cookies.get(COOKIE)):
        if code in languages:
            return languages[code]
    for accepted, quality in request.accept_languages:  # the most wanted first
        for code in (accepted, accepted.partition("-")[0].lower()):
            if code in languages and quality > 0:
                return languages[code]
    return languages[ENGLISH]


def add_languages(app: Flask, folder: Path) -> None:
    """Give templates `language`, that of the viewer, and `languages`, all.

    Args:
        app: The app.
        folder: With the files of the languages.
    """
    languages = read_languages(folder)

    @app.context_processor
    def of_viewer() -> dict[str, Any]:
        return {"language": choose(request, languages), "languages": list(languages.values())}
