"""Controlled English as SystemVerilog assertions."""

from kerf.verification.english.translate import Translation, to_sva

__all__ = ["Translation", "to_sva"]
