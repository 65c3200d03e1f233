"""Running sums, products, extrema and log-sum-exps along any axis."""

from kerf.kernels.codegen.scan.template import ScanTemplate

TEMPLATE = ScanTemplate()

__all__ = ["TEMPLATE", "ScanTemplate"]
