"""What the pipeline knows of each format of model files, a folder a format."""
