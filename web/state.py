"""The state of the newest frame, as the page and other programs ask for it, and whether frames arrive at all."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, request

from mien.errors import MienError
from mien.types import Analysis, Snapshot, SourceStatus
from web import schemas
from web.limits import Slots
from web.openapi import LANDMARKS, VIEWER, Answer, Operation
from web.ports import AppOptions, Camera

if TYPE_CHECKING:
    from mien.outputs.base import OutputStatus

STALE_S = 5.0
"""With a newest frame older than this no frames arrive, whatever the source reports."""

LANDMARK_REFUSALS = (
    Answer(400, "landmarks is neither 0 nor 1."),
    Answer(503, "landmarks is 1, and the networks that find landmarks are not installed."),
)

FLOWING = frozenset({"live", "file", "demo"})


class StateReader:
    """Describes snapshots of one camera.

        state = StateReader(camera, options, viewers=Slots(256))
        print(state.newest().to_json())

    Args:
        camera: Asked for its status each time; reading a state keeps it from becoming idle.
        options: Names the detector, the recorder and privacy mode.
        viewers: The open picture streams.
    """

    def __init__(self, camera: Camera, options: AppOptions, viewers: Slots) -> None:
        self._camera = camera
        self._options = options
        self._viewers = viewers
        self._lock = threading.Lock()  # guards the next
        self._version = secrets.randbits(40)  # so that no answer of an earlier run of the program seems to be newer

    def __call__(
        self, snapshot: Snapshot | None, viewer: str | None = None, *, landmarks: bool = False
    ) -> schemas.State:
        """Everything known about a snapshot; `watching` is given if the name of a viewer is.

        A snapshot from before the source was last opened is described as none: what it shows is not this source.

        Args:
            snapshot: The snapshot.
            viewer: Name of a viewer.
            landmarks: Whether to request the landmarks of the next snapshots and describe those of this one.
        """
        self._camera.keep_awake()
        if landmarks and self._options.landmarks is not None:
            self._options.landmarks.request()
        status = self._camera.status()
        if snapshot is not None and snapshot.frame is not None and snapshot.frame.stream != status.stream:
            snapshot = None
        frame = snapshot.frame if snapshot else None
        shared: dict[str, Any] = dict(self.controls())
        if viewer:
            shared["watching"] = viewer in self._viewers
        shared["outputs"] = [schemas.Output.model_validate(each) for each in self._outputs()]
        return schemas.State(
            source=describe_source(snapshot, status),
            fps=round(float(status.fps), 1),
            latency_ms=round(float(snapshot.latency_ms + snapshot.encoding_ms), 1) if snapshot else None,
            timing_ms=_timing_ms(snapshot) if snapshot else {},
            viewers=self._viewers.count,
            frame=schemas.Frame.model_validate(frame) if frame else None,
            faces=describe_faces(
                snapshot.analysis if snapshot else None, landmarks=landmarks and not shared["privacy"]
            ),
            baselines=describe_baselines(snapshot.analysis if snapshot else None),
            **shared,
        )

    def newest(self, viewer: str | None = None, *, landmarks: bool = False) -> schemas.State:
        """The state of the newest snapshot; arguments as in a call."""
        return self(self._camera.snapshots.peek()[1], viewer, landmarks=landmarks)

    def controls(self) -> schemas.Controls:
        """What can be switched for all viewers; unlike a state it lets the camera become idle."""
        version = self._version  # before all others: what has a version is as new as it, or newer
        recorder, privacy, saving = self._options.recorder, self._options.privacy, self._camera.saving
        adjustment, detectors = self._options.adjustment, self._options.detectors
        return schemas.Controls(
            settings_version=version,
            recording=schemas.Recording.model_validate(recorder.status()) if recorder else schemas.NO_RECORDING,
            saving=schemas.Saving.model_validate(saving) if saving else None,
            privacy=privacy is not None and privacy.on,
            rare=adjustment.rare if adjustment else None,
            detector=detectors.current if detectors else self._options.detector_name,
            detectors=list(detectors.available) if detectors else [],
            privacy_locked=privacy is not None and privacy.locked,
            privacy_lifted_at=privacy.lifted_at if privacy else None,
            sessions_version=self._options.sessions.version if self._options.sessions else 0,
        )

    def _outputs(self) -> Sequence[OutputStatus]:
        return self._options.outputs.status() if self._options.outputs is not None else ()

    def changed(self) -> schemas.Controls:
        """As `controls`, after something was switched: the version increases."""
        with self._lock:
            self._version += 1
        return self.controls()


def describe_source(snapshot: Snapshot | None, status: SourceStatus) -> schemas.Source:
    """The source, and what it showed in a snapshot.

    Args:
        snapshot: The snapshot; None where only the source matters.
        status: What the source reports.
    """
    return schemas.Source(
        name=status.name,
        state=status.state,
        truth=snapshot.frame.truth if snapshot and snapshot.frame else None,
        truths=list(snapshot.frame.truths) if snapshot and snapshot.frame else [],
        reason=status.reason,
        retry_in_s=None if status.retry_in_s is None else round(float(status.retry_in_s), 1),
        kind=status.kind,
        failing=status.failing,
    )


def describe_faces(analysis: Analysis | None, *, landmarks: bool = False) -> list[schemas.Face]:
    """The faces that were found in a frame or image.

    Args:
        analysis: What was found; None for none.
        landmarks: Whether to describe their landmarks, 468 points each.
    """
    faces = analysis.faces if analysis else ()
    shown = faces if landmarks else [replace(face, landmarks=None) for face in faces]
    return [schemas.Face.model_validate(face.to_dict()) for face in shown]


def describe_baselines(analysis: Analysis | None) -> list[schemas.Baseline]:
    """The resting faces of the people in a frame.

    Args:
        analysis: What was found; None for none.
    """
    return [
        schemas.Baseline.model_validate(replace(each, left_s=round(each.left_s, 2)))
        for each in (analysis.baselines if analysis else ())
    ]


def wants_landmarks(options: AppOptions) -> bool:
    """Whether the request asks for landmarks.

    Args:
        options: Its `landmarks` may be missing.

    Raises:
        HTTPException: 400 for another value than 0 or 1, 503 if there are no landmarks.
    """
    given = request.args.get("landmarks", "0")
    if given not in ("0", "1"):
        abort(400, "Expected landmarks=0 or landmarks=1.")
    if given == "0":
        return False
    if options.landmarks is None:
        abort(503, "There are no landmarks: this program has none.")
    options.landmarks.load()
    if options.landmarks.missing is not None:
        abort(503, f"There are no landmarks: {options.landmarks.missing}.")
    return True


def _timing_ms(snapshot: Snapshot) -> dict[str, float]:
    """Duration of each stage; `encode`, which includes drawing, only after the picture was requested."""
    timing_ms = dict(snapshot.analysis.timing_ms) if snapshot.analysis else {}
    if snapshot.encoding_ms:
        timing_ms["encode"] = snapshot.encoding_ms
    return {stage: round(float(ms), 2) for stage, ms in timing_ms.items()}


def sentence(error: MienError) -> str:
    """The message of an error as a sentence."""
    text = str(error)
    is_word = text.partition(" ")[0].isalpha()  # and neither a file name nor an address
    return f"{text[:1].upper() if is_word else text[:1]}{text[1:]}{'' if text.endswith('?') else '.'}"


def trouble(snapshot: Snapshot | None, status: SourceStatus, now_s: float) -> str | None:
    """Why no frames arrive; None if they do, or will as soon as somebody watches.

    Args:
        snapshot: The newest snapshot; None before the first.
        status: What the source reports.
        now_s: Present time, in seconds since the epoch.
    """
    if status.state == "resting":
        return None
    if status.state not in FLOWING:
        return status.reason or f"the source is {status.state}"
    if snapshot is None or snapshot.frame is None:
        return status.reason or "no frame has arrived yet"
    age_s = now_s - snapshot.frame.captured_at
    if age_s > STALE_S:
        return status.reason or f"no new frame for {age_s:.0f} s"
    return None


def blueprint(camera: Camera, options: AppOptions, state: StateReader) -> Blueprint:
    """Routes of state and health.

    Args:
        camera: Its status and newest snapshot tell whether frames arrive.
        options: Whether there are landmarks.
        state: Describes the newest snapshot.
    """
    routes = Blueprint("state", __name__)

    @routes.get("/api/state")
    @Operation(
        "The state of the newest frame.",
        Answer(200, "Source, frame and faces.", schemas.State),
        *LANDMARK_REFUSALS,
        parameters=(VIEWER, LANDMARKS),
    )
    def newest() -> schemas.State:
        return state.newest(request.args.get("viewer"), landmarks=wants_landmarks(options))

    @routes.get("/healthz")
    @Operation(
        "Whether frames arrive.",
        Answer(200, "They do.", schemas.Health),
        Answer(503, "They do not, for the reason given.", schemas.Health),
    )
    def healthz() -> tuple[schemas.Health, int]:
        status = camera.status()
        reason = trouble(camera.snapshots.peek()[1], status, time.time())
        recording = None if options.recorder is None else options.recorder.status()
        written = (
            recording and recording.error,
            recording and recording.video_error,
            camera.saving and camera.saving.error,
        )
        not_written = [error for error in written if error]
        health = schemas.Health(ok=reason is None, state=status.state, reason=reason, not_written=not_written)
        return health, 200 if health.ok else 503

    return routes
