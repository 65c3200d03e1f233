"""Conversations in the tests: a folder with files, verbs that are not run, and plans as command lines."""

from __future__ import annotations

import shlex
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kerf.assistant.context import Context, Turn
from kerf.assistant.grammar import Ask, Understood, understand
from kerf.assistant.plan import Done, Plan
from kerf.assistant.questions import Question
from kerf.assistant.workspace import Workspace
from kerf.core import temporary
from kerf.verbs import all_verbs

HERE = Path(__file__).parent
MODEL = "class Model:\n    pass\n"
FILES = {
    **{f"{n}.py": MODEL for n in ("softmax", "layer_norm", "matmul_small", "matmul_large", "attention")},
    "fast_softmax.py": "class ModelNew:\n    pass\n",
    **dict.fromkeys(("adaptec1.aux", "one.pl", "two.pl", "ct_ariane/netlist.pb.txt", "gcd.def", "gcd.lef", "table.csv", "evidence.json"), ""),
    **dict.fromkeys(("fifo.sv", "arbiter.v", "arbiter_fixed.v", "uart_tx.sv"), "module m; endmodule\n"),
    "answers_dir/a.sv.txt": "", "refs_dir/a.txt": "",
}  # fmt: skip
THIRD = {
    **{f"{n}.py": MODEL for n in ("softmax", "attn", "layernorm", "conv2d")}, "fast_softmax.py": FILES["fast_softmax.py"],
    **dict.fromkeys(("riscv.def", "riscv.lef", "riscv_old.def", "riscv_new.def", "ibm03.aux", "slack.rpt", "stim.csv", "props.sva"), ""),
    **{f"{n}.v": f"module {n};\nendmodule\n" for n in ("alu", "alu_golden", "adder", "fast_adder")},
    **{f"{n}.sv": f"module {n};\nendmodule\n" for n in ("fifo_ctrl", "uart_tx")},
    "arb_pkg.sv": "package arb_pkg;\n  localparam int N = 4;\nendpackage\n",
    "arbiter.sv": "module arbiter import arb_pkg::*; (input logic [N-1:0] req);\nendmodule\n",
    "tb_alu.sv": "module tb_alu;\n  alu dut();\nendmodule\n",
    "refs/alu_ref.sv": "", "answers/alu.sv": "",
}  # fmt: skip
RUNS = ("261126-101010-aaaa", "261126-090909-bbbb")


def folder(path: Path, files: Mapping[str, str] = FILES) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def _named(names: Iterable[str]) -> dict[str, str]:
    """The files of a case that lists its own."""
    return {n: FILES.get(n, MODEL if n.endswith(".py") else "module m; endmodule\n") for n in names}


def cases(name: str) -> list[dict[str, Any]]:
    tables = tomllib.loads((HERE / name).read_text())
    return [c for group in tables.values() for c in group]


class Conversation:
    """Plans are agreed to and taken as run: the k-th step of all gives run<k>, placement<k>, ..."""

    def __init__(self, path: Path) -> None:
        self.context = Context(all_verbs(), Workspace(path, RUNS))
        self.steps = 0

    def say(self, sentence: str) -> Understood:
        found = understand(sentence, self.context)
        self.context.pending = found.pending if isinstance(found, Ask) else None
        if isinstance(found, Plan):
            self._agree(found)
        if found == Question("undo"):
            self.context.undo()
        return found

    def _agree(self, plan: Plan) -> None:
        turn = Turn(plan)
        for step in plan.steps:
            self.steps += 1
            turn.done.append(Done(step, {thing: f"{thing}{self.steps}" for thing in step.verb.says.gives}))
        self.context.turns.append(turn)


def wrong(case: Mapping[str, Any], path: Path) -> str:
    """What differs from what the case expects, or nothing; silently wrong where it says "planned", "goal" or "not asked back"."""
    if "files" in case:
        with temporary.folder("sentence") as own:
            return _wrong(case, folder(Path(own), _named(case["files"])))
    tried = [_wrong({**case, **right}, path) for right in case.get("either", ({},))]
    return tried[0] if all(tried) else ""


def _wrong(case: Mapping[str, Any], path: Path) -> str:
    conversation = Conversation(path)
    for sentence in case.get("before", ()):
        conversation.say(sentence)
    found = conversation.say(case["say"])
    if "plan" in case:
        if not isinstance(found, Plan):
            return f"{found}"
        commands = [s.command() for s in found.steps]
        if [_bag(c) for c in commands] != [_bag(c) for c in case["plan"]]:
            return f"planned {commands}"
        goal = next((s.goal for s in found.steps if s.goal), None)
        return "" if goal == case.get("goal") else f"goal {goal}"
    if "answer" in case:
        return "" if isinstance(found, Question) and found.name == case["answer"] else f"{found}"
    if not isinstance(found, Ask):
        return f"not asked back: {[s.command() for s in found.steps] if isinstance(found, Plan) else found}"
    return "" if case.get("says", "").lower() in found.text.lower() else f"asked {found.text!r}"


def _bag(command: str) -> Counter[tuple[str, ...]]:
    """A command line whatever the order of its options: (flag, value) pairs and positional arguments in order."""
    words, found, at = shlex.split(command), Counter[tuple[str, ...]](), 0
    i = 0
    while i < len(words):
        if words[i].startswith("--") and i + 1 < len(words) and not words[i + 1].startswith("--"):
            found[words[i], words[i + 1]] += 1
            i += 2
        else:
            found[(words[i],) if words[i].startswith("--") else (str(at), words[i])] += 1
            at += 1
            i += 1
    return found
