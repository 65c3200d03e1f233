"""Global placement: where every cell roughly goes, by electrostatics."""

from kerf.placement.analytic.electrostatic import place_global
from kerf.placement.analytic.options import GlobalOptions, GlobalResult
from kerf.placement.analytic.orientation import orient_macros

__all__ = ["GlobalOptions", "GlobalResult", "orient_macros", "place_global"]
