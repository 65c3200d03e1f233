"""Detailed placement: see `improve`."""

from kerf.placement.detailed.improve import improve

__all__ = ["improve"]
