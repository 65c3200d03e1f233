"""SystemVerilog assertions as monitors in a design's graph, and implication and equivalence between them."""

from kerf.verification.sva.compiler import Assertion, compile

__all__ = ["Assertion", "compile"]
