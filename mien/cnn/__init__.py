"""The network: loaded, made of its own layers, explained."""
