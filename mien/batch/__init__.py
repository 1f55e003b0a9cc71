"""Offline analysis: files are read frame by frame in media time, never in real time."""
