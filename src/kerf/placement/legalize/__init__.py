"""From a global placement to a legal one: hard macros first, then standard cells onto rows and sites."""

from kerf.placement.legalize.cells import legalize_cells

__all__ = ["legalize_cells"]
