"""Print each face and its expression for every frame that is analyzed."""

import json
from urllib.request import Request, urlopen

ADDRESS = "http://localhost:5000/"
TOKEN = ""  # if Mien asks for one

headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
with urlopen(Request(f"{ADDRESS}api/events", headers=headers)) as stream:
    for line in stream:
        if line.startswith(b"data:"):
            for face in json.loads(line[5:])["faces"]:
                print(face["id"], face["label"], face["confidence"], flush=True)
