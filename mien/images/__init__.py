"""Pictures: decoded, resized, drawn on, covered."""
