"""What people ask of a placement beside short wires: said in words, TOML or Python (`kinds`), lowered to rules (`lowering`, `gathering`),
proved at the end (`proof`)."""

from kerf.placement.constraints.kinds import (
    Align,
    Constraint,
    Edge,
    Fixed,
    Group,
    Halo,
    Keepout,
    Orient,
    Region,
    exact,
    read,
)

__all__ = [
    "Align",
    "Constraint",
    "Edge",
    "Fixed",
    "Group",
    "Halo",
    "Keepout",
    "Orient",
    "Region",
    "exact",
    "read",
]
