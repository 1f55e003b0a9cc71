"""Every error that Mien raises on purpose.

MienError
├── SettingsError
├── ModelError
├── DetectorError
├── ImageError
│   ├── NotAnImageError
│   └── ImageTooLargeError
├── RecordingError
├── BusyError
└── SourceError
    ├── SourceMissingError
    ├── SourceForbiddenError
    └── SourceEndedError
"""

from __future__ import annotations


class MienError(Exception):
    """Anything a user can mend: the message says what was expected and what was found."""


class SettingsError(MienError):
    """A command-line option or MIEN_* variable has a value that can not be used."""


class ModelError(MienError):
    """model.json or the weights are missing, broken, or do not fit each other."""


class DetectorError(MienError):
    """A face detector, or a file it needs, is missing or broken."""


class ImageError(MienError):
    """Bytes that should be an image are not, are broken, or are too large."""


class NotAnImageError(ImageError):
    """The bytes are of no known image format."""


class ImageTooLargeError(ImageError):
    """The image has more bytes or pixels than allowed."""


class RecordingError(MienError):
    """The session can not be recorded: folder missing, no permission, disk full."""


class BusyError(MienError):
    """Too many ask at once; `retry_in_s` is when it is worth asking again, in seconds."""

    def __init__(self, message: str, retry_in_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_in_s = retry_in_s


class SourceError(MienError):
    """A source can not be opened or gives no frame (any more); trying again may help."""


class SourceMissingError(SourceError):
    """The named file does not exist, or is no video or image: trying again will not help."""


class SourceForbiddenError(SourceError):
    """A source that may not be chosen from outside."""


class SourceEndedError(SourceError):
    """A file was played to its end and does not loop."""
