"""Heavy verbs over the Model Context Protocol, each with one small real run: what a refused argument would not show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

pytest.importorskip("mcp")

from serving import said, stdio

GOOD = "module m(input clk, rst, a, b, output reg q);\n  always @(posedge clk) if (rst) q <= 0; else q <= a & b;\nendmodule\n"
FILES = {
    "good.v": GOOD,
    "bad.v": GOOD.replace("a & b", "a | b"),
    "refs/and_ref.sv": GOOD.replace("module m", "module RefModule"),
    "answers/and.sv": GOOD.replace("module m", "module TopModule"),
    "relu.py": "import torch\nfrom torch import nn\nclass Model(nn.Module):\n    def forward(self, x):\n        return torch.relu(x)\n"
    "def get_inputs():\n    return [torch.randn(4, 8)]\ndef get_init_inputs():\n    return []\n",
}
Check = Callable[[Mapping[str, Any]], bool]
CALLS: tuple[tuple[str, dict[str, Any], Check], ...] = (
    ("place", {"design": "example", "minutes": 0.01, "output": "out.pl"}, lambda r: r["status"] == "legal" and r["hpwl"] > 0),
    ("score", {"design": "example", "placement": "out.pl"}, lambda r: r["legal"] and r["hpwl"] > 0),
    ("diff", {"design": "example", "a": "-", "b": "out.pl"}, lambda r: bool(r["moved"])),
    ("draw", {"design": "example", "placement": "out.pl", "output": "d.svg"}, lambda r: r["width"] > 0),
    ("verify", {"design": ["example"], "goal": "prove"}, lambda r: {a["name"] for a in r["assertions"]} >= {"agree", "open"}),
    ("why", {"signal": "count"}, lambda r: r["value"] == 3 and r["reasons"]),
    ("assert", {"sentence": "count never exceeds 4", "design": ["example"]}, lambda r: r["verdict"] == "proved"),
    ("equiv", {"a": "good.v", "b": "bad.v"}, lambda r: r["verdict"] == "different" and r["trace"]),
    ("repair", {"design": ["bad.v"], "reference": "good.v"}, lambda r: "a & b" in str(r["repairs"])),
    ("judge", {"references": "refs", "answers": "answers"}, lambda r: r["counts"] == {"proved": 1}),
    ("audit", {"problem": "relu.py"}, lambda r: r["degenerate"] == []),
    ("export", {"run": "last", "out": "mine"}, lambda r: bool(r)),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_heavy_verbs_do_their_work(folder: Path) -> None:
    """In one session, as an agent goes about it: what one call wrote, the next one reads."""

    async def main() -> dict[str, Any]:
        async with stdio(folder) as client:
            return {name: await client.call_tool(name, given) for name, given, _ in CALLS}

    answers = anyio.run(main)
    for name, _, right in CALLS:
        found = answers[name]
        assert not found.is_error, f"{name}: {said(found)}"
        assert said(found).strip() and right(found.structured_content), f"{name}: {found.structured_content}"
    assert (folder / "d.svg").read_text().startswith("<") and (folder / "out.pl").exists()
    assert any((folder / "mine").iterdir())
