"""A design to place on the workbench of an agent: what it may look at, how what it proposes becomes a candidate."""

from kerf.placement.workbench.bench import PlacementBench

__all__ = ["PlacementBench"]
