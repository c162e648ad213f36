"""The graph that is exported: inputs, outputs, and what stands around the user's model."""
