"""From a global placement to a legal one: hard macros first, then standard cells onto rows and sites."""

from kerf.placement.legalize.cells import legalize_cells
from kerf.placement.legalize.macros import legalize_macros
from kerf.placement.legalize.padding import padded

__all__ = ["legalize_cells", "legalize_macros", "padded"]
