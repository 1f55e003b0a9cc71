"""Fitting networks: from a recipe, from trained weights, or from teachers."""
