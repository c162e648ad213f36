"""The type of what runtimes take and give."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
"""Of any dtype, with a batch axis unless it is said otherwise."""

Row = tuple[Array, ...]
"""One sample: an array for each input, without the axis of the batch."""
