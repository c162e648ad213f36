"""Finding the int8 file that is kept: candidates are made, measured, let through or not."""
