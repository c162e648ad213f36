"""Takes a PyTorch model to where there is no Python, and proves that it answers the same there."""

__version__ = "0.1.0"
