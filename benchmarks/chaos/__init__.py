"""Faults on purpose: what the running program survives, and what it must not lose."""
