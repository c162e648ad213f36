"""This machine and this process: the CPU, progress, what libraries print."""
