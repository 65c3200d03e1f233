"""Convolution with an elementwise epilogue."""

from kerf.kernels.codegen.conv.template import ConvTemplate

TEMPLATE = ConvTemplate()

__all__ = ["TEMPLATE", "ConvTemplate"]
