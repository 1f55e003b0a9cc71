"""Mien: real-time facial expression recognition."""

__version__ = "0.2.0.dev0"
