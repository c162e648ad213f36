"""How good and how fast: parity with the reference, the task's own metric, timing."""
