"""Proposers keep their promises, and learning ones pay."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path

import numpy as np
import pytest
from kerf.archive import Archive
from kerf.core.types import KerfError
from kerf.proposers import conformance, make, registry
from kerf.proposers.boosting import Boosting
from kerf.proposers.conformance import ToySpace

from tests.core.toys import Landscape

DECLARED = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["entry-points"]["kerf.proposers"]


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", sorted(DECLARED))
def test_conformance(name, check):
    check(lambda space, archive, seed: make(name, space, archive, seed))
