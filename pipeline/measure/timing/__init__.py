"""Measuring: the loop, the percentiles, the draw of inputs, and contests between things measured.

It knows nothing of models: it takes callables, clocks and numbers. Stages that measure share it.
"""
