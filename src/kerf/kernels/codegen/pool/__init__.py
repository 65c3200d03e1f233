"""Max and average pooling, 1 to 3 dimensions."""

from kerf.kernels.codegen.pool.template import PoolTemplate

TEMPLATE = PoolTemplate()

__all__ = ["TEMPLATE", "PoolTemplate"]
