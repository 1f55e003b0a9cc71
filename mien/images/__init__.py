"""Images: decoding, resizing, drawing, and covering faces."""
