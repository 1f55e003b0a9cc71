"""From a source to all viewers: the newest frame, and nothing but the newest."""
