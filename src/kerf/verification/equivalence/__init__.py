"""Sequential equivalence of two designs: equal, different (with a run that shows it), or undecided."""

from kerf.verification.equivalence.decide import Equivalence, Same, equivalent

__all__ = ["Equivalence", "Same", "equivalent"]
