"""What the browser and other programs talk to: page, streams and interface. Knows no cv2, keras or camera."""

from web.app import create_app

__all__ = ["create_app"]
