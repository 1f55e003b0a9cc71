"""The network: loading it, its own layers, and heat maps that explain it."""
