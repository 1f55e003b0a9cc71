"""All targets, by name; 100,000 inputs, divided by their shares, take about half an hour of one core."""

from __future__ import annotations

from benchmarks.fuzz.target import Target
from benchmarks.fuzz.targets import cameras, http, media, networks, options, records, tables, web

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (options, tables, records, http, cameras, web, networks, media)
    for target in module.TARGETS
}
