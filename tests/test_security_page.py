"""The limits in docs/security.md are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mien.cnn import build, files, hdf5, keras2
from mien.images import codecs, jpeg
from mien.queue.uploads import Limits
from mien.sources import network
from web import attempts, framing, limits, schemas, server
from web.app import MAX_EVENT_STREAMS
from web.ports import AppOptions

PAGE = (Path(__file__).parent.parent / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (.+?) \| (.+) \|$", PAGE.partition("## Limits")[2].partition("##")[0], re.MULTILINE))


@pytest.mark.parametrize(
    ("row", "stated"),
    [
        ("[requests](api.md#limits)", f"heads of {server.MAX_HEADER_BYTES >> 10} kB with {framing.MAX_FIELDS} fields"),
        ("[requests](api.md#limits)", f"JSON of {limits.MAX_JSON_BYTES >> 10} kB"),
        ("[requests](api.md#limits)", f"other bodies of {limits.MAX_BODY_BYTES >> 20} MB"),
        ("[requests](api.md#limits)", f"one more for each {server.MIN_BYTES_PER_S // 1000} kB"),
        ("streams", f"{AppOptions().max_streams} of pictures and {MAX_EVENT_STREAMS} of events"),
        ("images", f"{codecs.MAX_IMAGE_BYTES >> 20} MB, {codecs.MAX_IMAGE_PIXELS // 10**6} megapixels"),
        ("images", f"{jpeg.MAX_SCANS} scans, {jpeg.MAX_SEGMENTS:,} segments"),
        (
            "files to analyze",
            f"{Limits.file_bytes // 10**9} GB each, {Limits.total_bytes // 10**9} GB and {Limits.jobs} jobs",
        ),
        (
            "files to analyze",
            f"pieces of {Limits.piece_bytes // 10**6} MB; {Limits.free_bytes // 10**9} GB of the disk",
        ),
        ("videos and cameras", f"{codecs.MAX_IMAGE_PIXELS // 10**6} megapixels; {network.URL_TIMEOUT_S:g} s until"),
        ("addresses of sources", f"{schemas.MAX_SOURCE} characters"),
        ("architectures of networks", f"{files.MAX_JSON_BYTES >> 20} MB of JSON, {files.MAX_JSON_DEPTH} levels"),
        ("architectures of networks", f"{keras2.MAX_LAYERS} layers, {build.MAX_WEIGHTS // 10**6} million weights"),
        ("weights of networks", f"{files.MAX_WEIGHTS_BYTES >> 30} GB, {hdf5.MAX_OBJECTS:,} groups and arrays"),
        ("wrong tokens", {4: "one per second and address, four at once"}[attempts.MAX_DELAYED]),
    ],
)
def test_a_limit_on_the_page_is_that_of_the_program(row, stated) -> None:
    assert stated in ROWS[row]
