"""SystemVerilog assertions as monitors in a design's graph, and implication and equivalence between them."""

from kerf.verification.sva.comparison import Comparison, Implication, equivalent
from kerf.verification.sva.compiler import Assertion, compile

__all__ = ["Assertion", "Comparison", "Implication", "compile", "equivalent"]
