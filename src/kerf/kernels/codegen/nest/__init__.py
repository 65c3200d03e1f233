"""Loop nests: kernels of `Map` and `Reduce` ops."""

from kerf.kernels.codegen.nest.template import TEMPLATE, NestTemplate

__all__ = ["TEMPLATE", "NestTemplate"]
