"""Results of the kernel verbs as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerf.proposers.agent.render import spent

Result = Mapping[str, Any]


def _columns(rows: list[list[str]]) -> str:
    """Rows of cells, aligned; the first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def interval(value: Mapping[str, float] | None) -> str:
    """2.31x [2.25, 2.36]"""
    if not value:
        return "-"
    low, high = value.get("low"), value.get("high")
    spread = f" [{low:.2f}, {high:.2f}]" if low is not None and high is not None else ""
    return f"{value['median']:.2f}x{spread}"


def share(value: Mapping[str, Any] | None) -> str:
    return f"{value['share']:.0%} ({value['bound']})" if value and value.get("share") is not None else "-"


def optimize(result: Result) -> str:
    if not result["candidate"]:
        return f"run {result['run']}: no candidate passed in {result['evaluations']} evaluations. {result.get('note', '')}\nWhy each failed: kerf show {result['run']}"
    names = {"eager": "PyTorch eager", "compile": "torch.compile", "onednn": "oneDNN"}
    rows = [["speed-up over", "median [95 % interval]"]] + [
        [names[k], interval(v)] for k, v in result["speedup"].items()
    ]
    generated = [p["what"] for p in result["provenance"] if p["by"] in ("generated", "model")]
    library = [p["what"] for p in result["provenance"] if p["by"] == "library"]
    lines = [
        _columns(rows),
        "",
        f"time         {result['time_ms']:.3f} ms a call",
        f"roofline     {share(result['roofline'])}",
        f"made of      {_made_of(generated, library)}",
        f"evaluations  {result['evaluations']} in {result['seconds']:.0f} s"
        + ("" if result["confirmed"] else " (not confirmed: the search was interrupted)"),
        *spent(result),
        "",
        f"drop-in      {result['candidate']['path']}",
        f"C source     {result['candidate']['path'].replace('kernel.py', 'kernel.c')}"
        if generated
        else "C source     none: the library as it is was not beaten",
        f"evidence     {result['evidence']}",
        f"report       {result['report']}",
    ]
    if result.get("stopped") == "interrupted":
        lines += ["", f"Stopped early. Go on with: kerf resume {result['run']}"]
    if result.get("note"):
        lines += ["", f"note: {result['note']}"]
    return "\n".join(lines)


def _made_of(generated: list[str], library: list[str]) -> str:
    count = (
        f"{len(generated)} generated kernel{'s' if len(generated) != 1 else ''} ({', '.join(dict.fromkeys(generated))})"
        if generated
        else ""
    )
    return "; ".join(
        filter(None, [count, f"library: {', '.join(dict.fromkeys(library))}" if library else ""])
    )


def evaluate(result: Result) -> str:
    lines = [f"{result['status']}" + (f": {result['reason']}" if result.get("reason") else "")]
    if result.get("error"):
        lines.append(
            f"largest error   {result['error']['max']:.3g} of a tolerance of {result['error']['tolerance']:.3g}"
        )
    for name, value in (result.get("speedup") or {}).items():
        if value:
            lines.append(f"over {name:<10} {interval(value)}")
    if result.get("evidence"):
        lines.append(f"evidence        {result['evidence']}")
    return "\n".join(lines)


def profile(result: Result) -> str:
    return "\n\n".join(filter(None, [result["text"], result.get("comparison", "")]))


def audit(result: Result) -> str:
    if "problems" in result:
        rows = result["problems"]  # the sound ones were named as they ended
        found = [audit(r) for r in rows if r["degenerate"] or r.get("error")]
        return "\n".join(["", *found, f"{result['degenerate_count']} of {len(rows)} degenerate"])
    if result.get("error"):
        return f"{result['problem']}: not audited: {result['error']}"
    if not result["degenerate"]:
        return f"{result['problem']}: sound"
    kinds = "; ".join(f"{d['kind']} ({d['evidence']})" for d in result["degenerate"])
    return f"{result['problem']}: degenerate: {kinds}" + (
        f"\n  hardened: {result['hardened']}" if result["hardened"] else ""
    )


def redteam(result: Result) -> str:
    rows = [f"{r['id']}: {r['status']}, expected {r['expected']}: {r['reason']}" for r in result["surprises"]]
    return "\n".join([
        *rows,
        f"attacks accepted  {result['attacks_accepted']} of {result['attacks']}",
        f"honest rejected   {result['honest_rejected']} of {result['honest']}",
    ])  # fmt: skip


def roofline(result: Result) -> str:
    rows = [["working set", "read GB/s", "write GB/s", "copy GB/s", "triad GB/s"]]
    rows += [
        [b["level"], *(f"{b[k]:.1f}" for k in ("read", "write", "copy", "triad"))]
        for b in result["bandwidth"]
    ]
    registers = result.get("product_gflops")
    products = f", {registers:.0f} in matrix products" if registers else ""
    return f"{result['chip']}, {result['threads']} thread(s): peak {result['peak_gflops']:.0f} GFLOP/s (float32){products}\n\n{_columns(rows)}"


def demo(result: Result) -> str:
    rows = [["example", "reference", "ours", "over eager", "over torch.compile", "over oneDNN", "roofline"]]
    for r in result["examples"]:
        s = r["speedup"]
        rows.append(
            [
                r["name"],
                f"{r['eager_ms']:.2f} ms" if r["eager_ms"] else "-",
                f"{r['time_ms']:.2f} ms" if r["time_ms"] else "-",
                interval(s["eager"]),
                interval(s["compile"]),
                interval(s["onednn"]),
                share(r["roofline"]),
            ]
        )
    where = [
        f"{r['name']}\n  drop-in   {r['candidate']['path']}\n  C source  {r['candidate']['path'].replace('kernel.py', 'kernel.c')}\n  evidence  {r['evidence']}\n  report    {r['report']}"
        for r in result["examples"]
        if r["candidate"]
    ]
    return (
        _columns(rows)
        + "\n\n"
        + "\n".join(where)
        + f"\n\n{result['threads']} thread(s), {result['seconds']:.0f} s. Speed-ups are medians with 95 % intervals."
    )
