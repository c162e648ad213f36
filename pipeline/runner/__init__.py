"""The C++ runner seen from Python: built by `build`, found by `program`.

`cpp_runner/` is a program of its own; pipeline/runtimes/cpp_process.py asks it.
"""
