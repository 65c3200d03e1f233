"""Coverage: bins, and closing them."""

from kerf.verification.coverage.bins import Bin, cross, value_bins, within, word
from kerf.verification.coverage.closing import Closure, Hit, close, measure

__all__ = ["Bin", "Closure", "Hit", "close", "cross", "measure", "value_bins", "within", "word"]
