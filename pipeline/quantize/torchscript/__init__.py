"""The recipes for TorchScript, and what they share."""
