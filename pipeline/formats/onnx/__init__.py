"""ONNX files: written without a trace of the machine that made them, validated, read back."""
