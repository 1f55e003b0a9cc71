"""Every error that the program raises on purpose; `training` adds DataError and RunError, below MienError.

MienError
├── SettingsError
├── ModelError
├── DetectorError
├── LandmarkError
├── ImageError
│   ├── NotAnImageError
│   └── ImageTooLargeError
├── RecordingError
├── LockedError
├── OutputError
│   └── NotTakenError
├── SessionError
│   ├── SessionMissingError
│   └── SessionRunningError
├── BaselineError
├── BusyError
├── LoadingError
├── JobError
│   ├── JobMissingError
│   ├── JobStateError
│   ├── JobLimitError
│   ├── JobTypeError
│   └── StorageError
├── ServerError
└── SourceError
    ├── SourceMissingError
    ├── SourceForbiddenError
    ├── SourceLoginError
    └── SourceEndedError
"""

from __future__ import annotations


def one_line(error: BaseException) -> str:
    """The message of an error in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


class MienError(Exception):
    """A mistake that the user can correct; the message says what was expected and what was found.

    Example:
        try:
            model = FacialExpressionModel("mine.json", "mine.h5")
        except MienError as error:
            print(error)
    """


class FatalError(MienError):
    """A fault from which the running program cannot recover: it ends with status 1, so that it can be restarted."""


class SettingsError(MienError):
    """A command-line option or MIEN_* variable has an invalid value."""


class ModelError(MienError):
    """model.json or the weights are missing, broken, or do not match."""


class DetectorError(MienError):
    """A face detector, or a file it needs, is missing or broken."""


class LandmarkError(MienError):
    """The networks that find landmarks, or the package that contains them, are missing or broken."""


class ImageError(MienError):
    """Bytes that should be an image are not one, are broken, or are too large."""


class NotAnImageError(ImageError):
    """The bytes are in no known image format."""


class ImageTooLargeError(ImageError):
    """The image has more bytes or pixels than allowed."""


class RecordingError(MienError):
    """The recording cannot be written: folder missing, no permission, disk full."""


class LockedError(MienError):
    """A setting that was locked when the program started, so that nobody can change it while it runs."""


class OutputError(MienError):
    """A live output cannot connect, or its connection is lost; it is tried again.

    Args:
        message: What is wrong, in a few words, without the receiver's name.
        permanent: Whether trying again makes no sense.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class NotTakenError(OutputError):
    """One message was lost, and counts as dropped; the connection, if there is such a thing, goes on."""


class SessionError(MienError):
    """A session cannot be changed as asked for."""


class SessionMissingError(SessionError):
    """There is no such session, or none any more."""


class SessionRunningError(SessionError):
    """A session is being recorded, so that it cannot be deleted."""


class BaselineError(MienError):
    """A resting face cannot be measured: no such face, too few frames, too poor a picture, another expression."""


class BusyError(MienError):
    """Too many requests at once.

    Args:
        message: What was expected.
        retry_in_s: When it is worth trying again, in seconds.
    """

    def __init__(self, message: str, retry_in_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_in_s = retry_in_s


class LoadingError(MienError):
    """Something needed for the answer is still being loaded; trying again will help."""


class JobError(MienError):
    """A file cannot be queued for analysis, or a job cannot do what it should."""


class JobMissingError(JobError):
    """There is no such job, or none any more, or it has no such result."""


class JobStateError(JobError):
    """A job is in a state in which this makes no sense.

    Args:
        message: What was expected and what was found.
        received: How many bytes of its file have arrived; None where that does not matter.
    """

    def __init__(self, message: str, received: int | None = None) -> None:
        super().__init__(message)
        self.received = received


class JobLimitError(JobError):
    """There are too many jobs, or their files have too many bytes."""


class JobTypeError(JobError):
    """A file is neither a video nor an image, by its first bytes."""


class StorageError(JobError):
    """Files cannot be stored: no folder for temporary files, or not enough space on its disk."""


class ServerError(MienError):
    """The web server cannot listen on the given host and port."""


class SourceError(MienError):
    """A source cannot be opened or delivers no more frames; trying again may help."""


class SourceMissingError(SourceError):
    """The named file does not exist, or is neither video nor image; trying again will not help."""


class SourceForbiddenError(SourceError):
    """A source that may not be chosen over the network."""


class SourceLoginError(SourceError):
    """A camera refuses user and password; soon trying again could lock the account."""


class SourceEndedError(SourceError):
    """A file was played to its end and does not loop."""
