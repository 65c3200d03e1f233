"""A kernel problem on the workbench of an agent: what it may look at, how what it writes becomes a candidate."""

from kerf.kernels.workbench.bench import KernelBench

__all__ = ["KernelBench"]
