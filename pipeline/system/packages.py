"""Installed distributions."""

from importlib import metadata


def version_of(distribution: str) -> str:
    """The installed version, `none` if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "none"
