"""From a source to all viewers: always the newest frame, without a queue."""
