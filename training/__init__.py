"""How the network is trained and measured. The running program never imports this package.

It imports Keras and NumPy but never a backend, so that it trains on TensorFlow, JAX or PyTorch alike.
"""
