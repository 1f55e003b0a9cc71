"""What Home Assistant needs to know to show faces as sensors. https://www.home-assistant.io/integrations/mqtt

Its MQTT discovery reads retained messages with the configuration of each entity.
"""

from __future__ import annotations

import re
from typing import Any

import mien
from mien.types import EXPRESSIONS

NO_FACE = "none"
"""State of a slot without a face."""

NOT_SETTLED = "unknown"
"""State of a slot with a face whose label has not settled yet."""


def discovery(root: str, prefix: str, slots: int) -> dict[str, dict[str, Any]]:
    """Configurations by topic: a sensor for each slot, one for the number of faces, and "somebody smiles".

    Args:
        root: Beginning of the topics that Home Assistant reads, "homeassistant" by default.
        prefix: Beginning of the topics of this output.
        slots: Number of slots.
    """
    node = re.sub(r"[^A-Za-z0-9_-]", "_", prefix)
    shared = {
        "availability_topic": f"{prefix}/status",
        "device": {
            "identifiers": [f"mien_{node}"],
            "name": "Mien" if prefix == "mien" else f"Mien ({prefix})",
            "manufacturer": "Mien",
            "model": "Facial expressions",
            "sw_version": mien.__version__,
        },
    }

    def entity(kind: str, name: str, title: str, **more: Any) -> tuple[str, dict[str, Any]]:
        unique = {"unique_id": f"mien_{node}_{name}"}
        return f"{root}/{kind}/{node}/{name}/config", {"name": title, **unique, **more, **shared}

    states = [*EXPRESSIONS, NO_FACE, NOT_SETTLED]
    faces = [
        entity(
            "sensor",
            f"face_{slot}",
            f"Face {slot}",
            state_topic=f"{prefix}/face/{slot}/label",
            json_attributes_topic=f"{prefix}/face/{slot}",
            device_class="enum",
            options=states,
            icon="mdi:face-recognition",
        )
        for slot in range(1, slots + 1)
    ]
    return dict(
        [
            *faces,
            entity(
                "sensor",
                "faces",
                "Faces",
                state_topic=f"{prefix}/faces",
                state_class="measurement",
                icon="mdi:account-multiple",
            ),
            entity(
                "binary_sensor",
                "smile",
                "Somebody smiles",
                state_topic=f"{prefix}/smile",
                payload_on="ON",
                payload_off="OFF",
                icon="mdi:emoticon-happy",
            ),
        ]
    )
