"""Images: decoding, resizing, drawing, and pixelating faces."""
