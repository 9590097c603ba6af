"""Joint tables, conversions between them, flip orders."""

from hypopose.skeletons.tables import H36M17, SKELETONS

__all__ = ["H36M17", "SKELETONS"]
