"""The web app: page, streams and HTTP interface. Imports no cv2, keras or camera."""

from web.app import create_app
from web.ports import AppOptions

__all__ = ["AppOptions", "create_app"]
