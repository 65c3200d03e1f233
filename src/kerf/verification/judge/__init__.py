"""Graded answers: Verilog against a reference, by proof first and testbench second; assertions against assertions, by proof."""

from kerf.verification.judge.assertions import GradedAssertion, judge_assertions
from kerf.verification.judge.verilog import Grade, GradedAnswer, judge

__all__ = ["Grade", "GradedAnswer", "GradedAssertion", "judge", "judge_assertions"]
