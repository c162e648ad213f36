"""Which sample a run takes: drawn with a seed, the same in Python and in `edge-runner bench`."""

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def draw(seed: int, number: int, count: int) -> int:
    """An index below `count` for run `number`: the `number`th value of SplitMix64 (Steele, Lea and
    Flood, *Fast splittable pseudorandom number generators*, 2014) from `seed`, modulo `count`.

    With replacement, as MLPerf LoadGen draws. A function of its arguments alone, so that
    contestants with the same seed get the same inputs, however many runs each of them does.
    """
    value = (seed + (number + 1) * _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return (value ^ (value >> 31)) % count
