"""Starts the processes of a training: torchrun's elastic agent, or Ray. See docs/training.md."""
