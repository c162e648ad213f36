"""Where an artifact leaves the reference: every tensor inside it, measured layer by layer."""
