"""The kinds of outputs: a new kind is one entry of KINDS, and one module with a subclass of `Output`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec

from mien.errors import SettingsError, one_line
from mien.options import did_you_mean
from mien.outputs.addresses import parse_address
from mien.outputs.base import Output


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of output.

    Args:
        target: Module and class, "mien.outputs.jsonl:JsonLines"; imported when such an output is asked for.
        form: What `--out` takes, for messages and documentation.
        module: The module that has to be installed; None if none has to be.
        package: The package that contains it, as pip knows it.
    """

    target: str
    form: str
    module: str | None = None
    package: str | None = None


KINDS = {
    "osc": Kind("mien.outputs.osc:Osc", "osc://HOST:PORT", "pythonosc", "python-osc"),
    "mqtt": Kind("mien.outputs.mqtt:Mqtt", "mqtt://HOST/PREFIX", "paho", "paho-mqtt"),
    "mqtts": Kind("mien.outputs.mqtt:Mqtt", "mqtts://HOST/PREFIX", "paho", "paho-mqtt"),
    "ws": Kind("mien.outputs.websocket:WebSocket", "ws: or ws://HOST:PORT", "websockets", "websockets"),
    "webhook": Kind("mien.outputs.webhook:Webhook", "webhook:https://HOST/PATH", "urllib3", "urllib3"),
    "lsl": Kind("mien.outputs.lsl:Lsl", "lsl: or lsl:NAME", "pylsl", "pylsl"),
    "camera": Kind(
        "mien.outputs.virtual_camera:VirtualCamera", "camera: or camera:DEVICE", "pyvirtualcam", "pyvirtualcam"
    ),
    "jsonl": Kind("mien.outputs.jsonl:JsonLines", "jsonl:FILE or jsonl:-"),
}
"""All kinds, by the beginning of the URL."""


def create(url: str) -> Output:
    """Make an output; it is not connected yet.

    Args:
        url: A value of `--out`.

    Raises:
        SettingsError: There is no such kind, its URL is not understood, or a package is missing.
    """
    address = parse_address(url)
    kind = KINDS.get(address.kind)
    if kind is None:
        forms = ", ".join(each.form for each in KINDS.values())
        raise SettingsError(
            f"--out: expected {forms}; found an unknown kind, {address.kind!r}{did_you_mean(address.kind, KINDS)}"
        )
    if kind.module is not None and find_spec(kind.module.partition(".")[0]) is None:
        raise SettingsError(
            f"--out {address.name}: expected the package {kind.package}, found none; `pip install {kind.package}` "
            "installs it"
        )
    module, _, name = kind.target.partition(":")
    try:
        found = importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:  # an old version, or a part of it is missing
        raise SettingsError(
            f"--out {address.name}: expected a package {kind.package} as in requirements-outputs.txt, found one that "
            f"cannot be used: {one_line(error)}"
        ) from None
    made: Output = getattr(found, name)(address)
    return made
