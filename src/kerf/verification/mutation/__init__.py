"""Mutation testing: small faults in a design, all at once, and what notices them."""

from kerf.verification.mutation.mutant import Mutant
from kerf.verification.mutation.mutated import Mutated, mutated
from kerf.verification.mutation.score import Score, Survivor, random_tests, sample, score
from kerf.verification.mutation.sites import find

__all__ = ["Mutant", "Mutated", "Score", "Survivor", "find", "mutated", "random_tests", "sample", "score"]
