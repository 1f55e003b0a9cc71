"""What requests and answers hold, each declared once: answers are built from these models, request bodies are checked
by them, and /api/openapi.json describes them.

https://docs.pydantic.dev and https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from mien.names import is_printable
from mien.types import EXPRESSIONS, QUALITY_REASONS, Failing, SourceState, SourceType
from web.texts import Message, Name

MAX_SOURCE = 2048
"""Characters of a source; browsers and cameras do not use longer addresses either."""

MAX_IMAGES = 16
"""Images in one request for analysis."""

Label = Annotated[str, WithJsonSchema({"type": "string", "enum": list(EXPRESSIONS)})]
QualityReason = Annotated[str, WithJsonSchema({"type": "string", "enum": list(QUALITY_REASONS)})]
Probability = Annotated[float, Field(ge=0, le=1)]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]
Length = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]


class Schema(BaseModel):
    """An object with exactly the declared fields, which can also be read from the attributes of another object.

    Example:
        Box(x=4, y=8, w=100, h=100).to_json()
    """

    # Without NaN and infinity, which JSON does not have: an answer with them is an error instead.
    model_config = ConfigDict(extra="forbid", from_attributes=True, frozen=True, allow_inf_nan=False)

    def to_json(self) -> str:
        """The object as JSON, in ASCII and on one line, without the optional fields that were not given."""
        return self.model_dump_json(exclude_unset=True, ensure_ascii=True)


class Body(Schema):
    """The JSON body of a request, with an example for messages."""

    EXAMPLE: ClassVar[dict[str, object]]


class Error(Schema):
    """Why a request was refused."""

    error: Message = Field(description="What was expected, and what was found.")


class Probabilities(Schema):
    """The probability of each of the seven expressions; they sum to 1."""

    angry: Probability
    disgust: Probability
    fear: Probability
    happy: Probability
    neutral: Probability
    sad: Probability
    surprise: Probability


class Box(Schema):
    """A bounding box in pixels of the original frame."""

    x: int = Field(description="Left edge.")
    y: int = Field(description="Top edge.")
    w: Length = Field(description="Width.")
    h: Length = Field(description="Height.")


class Head(Schema):
    """Which way a head is turned, and how far eyes and mouth are open; left and right are the person's."""

    yaw_deg: float = Field(description="Degrees to the person's left, the right of a picture that is not mirrored.")
    pitch_deg: float = Field(description="Degrees upward; 0 is how people hold their heads in frontal photographs.")
    roll_deg: float = Field(
        description="Degrees by which the head is tilted toward the person's left shoulder, clockwise in the picture."
    )
    left_eye: float = Field(description="Distance between the lids, in widths of the eye: about 0.27 for an open eye.")
    right_eye: float = Field(description="The same of the right eye.")
    mouth: float = Field(description="Distance between the lips, in widths of the mouth; 0 if it is closed.")
    blink: bool = Field(description="Whether a blink of both eyes ended with this frame.")


class LogOdds(Schema):
    """Log odds of the seven expressions, or differences of them."""

    angry: float
    disgust: float
    fear: float
    happy: float
    neutral: float
    sad: float
    surprise: float


class Face(Schema):
    """One face and the expression it shows."""

    id: int | None = Field(description="The same number for the same face over time; null for a single image.")
    box: Box
    label: Label = Field(description="The most probable expression, with hysteresis where faces are tracked.")
    confidence: Probability = Field(description="Probability of the label.")
    unsure: bool = Field(description="Whether the confidence or the quality is too low to rely on the label.")
    people_share: Probability | None = Field(
        description="Share of people who would name the label, whatever rare says; null for a network that has not "
        "learned from people's votes."
    )
    probabilities: Probabilities = Field(description="Smoothed over time where faces are tracked.")
    raw: Probabilities = Field(
        description="The network's output for this frame alone, or for the last one in which the face was detected."
    )
    quality: Probability | None = Field(
        description="How well the face can be read, by its image alone: how often a label is what people see, relative "
        "to flawless pictures; smoothed over time where faces are tracked. Null where it was not measured."
    )
    quality_reason: QualityReason | None = Field(
        description="What costs the most; null for a face that can be read well."
    )
    found_by: str | None = Field(description="Name of the detector that last found the face; null if unknown.")
    landmarks: list[Point] | None = Field(
        default=None,
        description="468 points, x and y in pixels of the original frame, in the order of MediaPipe's face mesh; null "
        "without landmarks=1, in privacy mode, and where they are not found.",
    )
    head: Head | None = Field(
        default=None, description="From the landmarks; null where nobody asks for them, see --landmarks."
    )
    rest: LogOdds | None = Field(
        default=None,
        description="How much the log odds of each expression are above those of this face at rest: 0 is as at rest, "
        "0.7 doubles the odds; null where that was not measured, see /api/baseline.",
    )


class Baseline(Schema):
    """Whether the resting face of a person is known."""

    face: int = Field(description="The number of the face.")
    state: Literal["measuring", "ready", "refused"] = Field(
        description="refused: it could not be measured, or cannot be compared any more."
    )
    left_s: float = Field(description="Seconds until it is measured; else 0.")
    frames: Count = Field(description="How many frames it is, or will be, the mean of.")
    reason: Message | None = Field(description="Why it was refused.")


class BaselineFace(Body):
    """A face of the newest frame."""

    EXAMPLE = {"face": 1}

    face: Annotated[int, Field(ge=0, le=10**9, strict=True)] = Field(description="Its number.")

    @field_validator("face", mode="before")
    @classmethod
    def _read_whole(cls, face: object) -> object:
        return int(face) if isinstance(face, float) and face.is_integer() else face  # to JSON, 1.0 is an integer


class Frame(Schema):
    """Which frame the answer belongs to."""

    index: Count = Field(description="0, 1, 2, ... as captured.")
    captured_at: float = Field(description="Seconds since the epoch.")
    media_time_s: float | None = Field(description="Position in the file in seconds; null for a live source.")
    width: Length = Field(description="Pixels.")
    height: Length = Field(description="Pixels.")


class Source(Schema):
    """The source and what it is doing."""

    name: Name = Field(description="Name of the camera, file or address.")
    state: SourceState
    truth: Label | None = Field(description="The expression the demo's first face shows; null during a transition.")
    truths: list[Label | None] = Field(
        description="The same for each face of the demo, from left to right; else empty."
    )
    reason: Message | None = Field(description="Why no frames arrive; null while they do.")
    retry_in_s: float | None = Field(description="Seconds until the next attempt.")
    kind: SourceType | None = Field(
        default=None,
        description="Whether it is a webcam, the demo, a url (a network camera, or a video on a web server), or a file "
        "with a video or an image; null while that is not known.",
    )
    failing: Failing | None = Field(
        default=None, description="What has failed, the source or the analysis; null while nothing has."
    )


class Camera(Schema):
    """A source that may be chosen."""

    source: str = Field(description="What to choose: demo, or the number of a webcam.")
    name: str = Field(description="Name to display.")


class Sources(Schema):
    """The sources that may be chosen."""

    sources: list[Camera]
    files: list[str] | None = Field(description="Names in the folder given at start by --media; null without it.")
    current: str | None = Field(description="The one that is open; null while idle, and for a source not listed here.")


class Choice(Body):
    """The source to switch to."""

    model_config = ConfigDict(str_strip_whitespace=True)
    EXAMPLE = {"source": "demo"}

    source: str = Field(
        min_length=1,
        max_length=MAX_SOURCE,
        description="demo, the number of a webcam, a URL (http, https, rtsp, rtsps), or the name of a file.",
    )

    @field_validator("source")
    @classmethod
    def _check_printable(cls, source: str) -> str:
        if not is_printable(source):
            raise ValueError("expected printable characters only")
        return source


class Switch(Body):
    """Whether something is to be on."""

    model_config = ConfigDict(strict=True)
    EXAMPLE = {"on": True}

    on: bool


class RecordSwitch(Switch):
    """Whether to record, and what."""

    video: bool = Field(default=False, description="Whether to keep the pictures too, of a new recording.")
    continues: str | None = Field(
        default=None,
        max_length=64,
        description="Only with track: an earlier key, whose recording goes on with this one if it is still running.",
    )


class Expected(Body):
    """How often rare expressions are to be expected."""

    model_config = ConfigDict(strict=True)
    EXAMPLE = {"rare": 0.5}

    rare: float = Field(ge=0, le=1, description="0: as often as people see them; 1: as often as the others.")


class DetectorChoice(Body):
    """The face detector to use."""

    EXAMPLE = {"detector": "haar"}

    detector: str = Field(description="One of the `detectors` of the state.")


class Recording(Schema):
    """The running recording, or the last one."""

    on: bool = Field(description="Whether it is running.")
    since: float | None = Field(description="When it was started, seconds since the epoch.")
    rows: Count = Field(description="Rows written so far.")
    name: str | None = Field(description="Name of the file as it is downloaded; null before the first recording.")
    error: Message | None = Field(description="Why it stopped by itself; null where it did not.")
    session: str | None = Field(description="Id of the session; null before the first recording.")
    people: Count = Field(description="How many faces were recorded so far.")
    video: bool = Field(description="Whether the pictures are kept too.")
    video_error: Message | None = Field(description="Why they are no longer kept; null while all is well.")


NO_RECORDING = Recording(
    on=False, since=None, rows=0, name=None, error=None, session=None, people=0, video=False, video_error=None
)


class OwnRecording(Schema):
    """The recording of one browser's images."""

    recording: Recording


class Saving(Schema):
    """The annotated video that is being written."""

    name: str | None = Field(description="Name of the file; null while there is none.")
    error: Message | None = Field(description="Why writing stopped; null without an error.")
    dropped: Count = Field(description="Frames missing in the file because the encoder was busy.")


class Controls(Schema):
    """What can be switched for all viewers."""

    settings_version: int = Field(
        description="Increases by 1 with each change over HTTP: of two answers, the one with less is older. Begins "
        "with any number each time the program starts."
    )
    recording: Recording
    saving: Saving | None = Field(description="The annotated video; null without --save.")
    privacy: bool = Field(description="Whether faces are pixelated, in pictures and in saved video.")
    rare: float | None = Field(
        description="How often rare expressions are expected, from 0 (as often as people see them) to 1 (as often as "
        "the others); null for a network without base rates."
    )
    detector: str = Field(description="Name of the face detector.")
    detectors: list[str] = Field(description="Names of the face detectors that may be chosen.")
    privacy_locked: bool = Field(
        description="Whether privacy mode is on and cannot be lifted, as --privacy=locked says."
    )
    privacy_lifted_at: float | None = Field(
        description="When privacy mode was last lifted, seconds since the epoch; null if it was not since the start."
    )
    sessions_version: Count = Field(
        description="Increases whenever a recorded session has changed, or more is known of it; see /api/sessions."
    )


class Output(Schema):
    """A live output, as --out names it."""

    name: Name = Field(description="Its URL, without passwords.")
    state: Literal["connecting", "connected", "waiting", "failed"] = Field(
        description="waiting: until the next attempt, or for a receiver that takes nothing; failed: for good."
    )
    error: Message | None = Field(description="What went wrong last; null while it is connected.")
    sent: Count = Field(description="Messages sent.")
    dropped: Count = Field(description="Messages not sent because the receiver was absent or too slow.")


class State(Controls):
    """The newest frame and everything known about it."""

    source: Source
    fps: float = Field(ge=0, description="Frames analyzed per second, over the last 2 s.")
    latency_ms: float | None = Field(
        description="Milliseconds from receiving a frame until its picture is ready, without camera and network."
    )
    timing_ms: dict[str, float] = Field(description="Milliseconds spent in each stage.")
    viewers: Count = Field(description="Picture streams that are open.")
    frame: Frame | None
    faces: list[Face]
    watching: bool = Field(default_factory=bool, description="Whether the stream named by viewer is open.")
    baselines: list[Baseline] = Field(
        description="Of the faces whose resting face is known, being measured, or was refused."
    )
    outputs: list[Output] = Field(description="The live outputs; empty without --out.")


class Opened(Schema):
    """The source that was opened."""

    source: Source


class Image(Schema):
    """An analyzed image."""

    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    faces: list[Face]
    new_scene: bool = Field(
        default_factory=bool,
        description="Whether it shows or may show another scene than the previous image of its track, as after a cut.",
    )
    recording: Recording | None = Field(
        default=None, description="The recording of its track, running or ended; null or missing without one."
    )
    baselines: list[Baseline] = Field(default_factory=list, description="As in the state, for the faces of its track.")


ImageStatus = Literal[413, 415, 422]


class ImageError(Schema):
    """Why one of several images was not analyzed."""

    error: Message
    status: ImageStatus = Field(description="The status this image alone would have been answered with.")


class Images(Schema):
    """Several images, in the order they were sent."""

    images: list[Image | ImageError] = Field(min_length=2, max_length=MAX_IMAGES)


class ExplainedFace(Schema):
    """One face and the parts of it that support its label."""

    id: int | None = Field(description="The number of the face.")
    label: Label = Field(description="The label that is explained.")
    box: Box
    heat: str = Field(
        description="PNG to be laid over the box: RGBA, 48x48, transparent where nothing supports the label.",
        json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"},
    )


class Explanation(Schema):
    """Which parts of each face support its label."""

    frame: Count = Field(description="Index of the frame.")
    faces: list[ExplainedFace]


class NewJob(Body):
    """A file that is to be sent in pieces."""

    EXAMPLE = {"name": "may/anna.mp4", "bytes": 52428800}

    name: str = Field(
        min_length=1, max_length=4096, description="Name to display and for tables; never used as a path."
    )
    bytes: Annotated[int, Field(ge=1, strict=True)] = Field(description="Size of the file.")


class Seconds(Schema):
    """How long a person showed each expression, and how long the label was unsure; in seconds."""

    angry: float
    disgust: float
    fear: float
    happy: float
    neutral: float
    sad: float
    surprise: float
    unsure: float


class JobFace(Schema):
    """A person of a video, or a face of an image."""

    id: int = Field(description="Number of the face, as in the tables.")
    label: Label = Field(description="In a video, the expression shown longest while the label was not unsure.")
    confidence: Probability = Field(description="Probability of the label; in a video, the share of the face's time.")
    unsure: bool = Field(
        description="Whether the label is not to be relied on; in a video, whether it was unsure for longer than any "
        "expression was shown."
    )
    quality: Probability | None = Field(description="How well the face can be read; in a video, the mean over time.")
    seconds: Seconds | None = Field(description="Null for an image.")
    probabilities: Probabilities = Field(description="In a video, the mean over time.")
    thumbnail: str | None = Field(description="Path of a picture, JPEG; null without one, as in privacy mode.")


class JobResult(Schema):
    """What was found in a file; the tables have all of it."""

    width: Count = Field(description="Pixels, upright.")
    height: Count = Field(description="Pixels, upright.")
    duration_s: float | None = Field(description="Seconds; null for an image.")
    frames: Count = Field(description="Analyzed frames.")
    frames_with_face: Count
    faces: list[JobFace] = Field(description="At most 64: in a video those seen longest, in an image the largest.")


JobState = Literal["uploading", "waiting", "analyzing", "paused", "done", "failed", "canceled"]


class Job(Schema):
    """A file in the queue."""

    id: str = Field(description="Unguessable: whoever knows it may use the job.")
    name: str = Field(description="Name of the file.")
    kind: Literal["video", "image"] = Field(description="By the content; until its first bytes have arrived, a guess.")
    state: JobState
    reason: Message | None = Field(description="Why it failed, or what of a video could not be read; else null.")
    bytes: Count = Field(description="Size of the file.")
    received: Count = Field(description="How much of it has arrived: the offset of the next piece.")
    progress: Probability = Field(description="Analyzed share.")
    frames: Count = Field(description="Frames analyzed so far.")
    frames_per_second: float | None = Field(description="Frames analyzed per second; null before the analysis.")
    seconds_left: float | None = Field(description="Estimate for this file; null if unknown.")
    result: JobResult | None = Field(description="Null until the job is done.")
    piece_bytes: int | None = Field(
        default=None, description="Largest piece of an upload; only in the answer that begins one."
    )


class JobLimits(Schema):
    """What the queue takes."""

    file_bytes: int = Field(description="Of one file.")
    total_bytes: int = Field(description="Of all files that are not analyzed yet.")
    jobs: int = Field(description="Jobs of all viewers together.")
    piece_bytes: int = Field(description="Of one piece of an upload.")


class Jobs(Schema):
    """Jobs, in the order in which they were created."""

    jobs: list[Job]
    limits: JobLimits


class ChangedJobs(Schema):
    """Jobs that have changed; a canceled one is forgotten."""

    jobs: list[Job]


class WrongOffset(Schema):
    """Why a piece was refused."""

    error: Message = Field(description="What was expected, and what was found.")
    received: Count | None = Field(description="How much of the file has arrived: the offset that was expected.")


class Health(Schema):
    """Whether frames arrive."""

    ok: bool
    state: SourceState
    reason: Message | None = Field(description="Why no frames arrive; null while they do.")
    not_written: list[str] = Field(
        description="Why recording or saved video ended by itself, until the next one begins; empty while all is well. "
        "The picture goes on, so this does not change `ok`."
    )
