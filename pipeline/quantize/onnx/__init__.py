"""The recipes for ONNX, and what they share."""
