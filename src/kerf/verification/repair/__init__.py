"""Repair of a design's source: the smallest change after which it does what a table, assertions or another design say."""

from kerf.verification.repair.repair import repair
from kerf.verification.repair.search import Outcome, Repair, Status

__all__ = ["Outcome", "Repair", "Status", "repair"]
