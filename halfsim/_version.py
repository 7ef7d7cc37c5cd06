"""The version, in one place: the build, the command line and the changelog test read it here."""

__all__ = ["__version__"]

__version__ = "0.1.0"
"""The version of the package."""
