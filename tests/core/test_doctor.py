"""`kerf doctor`: every domain's checks, and what mends what is missing."""

from __future__ import annotations

import pytest

from kerf import doctor as module
from kerf.core.types import KerfError
from kerf.doctor import doctor


def test_every_domain_is_examined(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("KERF_HOME", str(tmp_path))
    found = doctor()
    assert {c["area"] for c in found["checks"]} == {"all", "kernels", "placement", "verification", "models"}
    assert all(c["found"] for c in found["checks"])


def test_what_is_missing_is_said_with_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise KerfError("no such thing")

    monkeypatch.setattr(
        module, "_declared", lambda: iter([("all", ("thing", True, "apt-get install thing", gone))])
    )
    found = doctor()
    assert not found["ok"] and found["summary"] == "1 missing: thing (all)"
    assert found["checks"][0]["fix"] == "apt-get install thing"
