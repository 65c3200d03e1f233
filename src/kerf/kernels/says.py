"""How people say the kernel verbs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerf.core.speech import Said, Says
from kerf.proposers.agent.options import SAID


def _shipped() -> Mapping[str, str]:
    from importlib.resources import files

    folder = files("kerf.kernels.examples")
    return {p.name.removesuffix(".py"): str(p) for p in folder.iterdir() if p.name.endswith(".py") and p.name[0] != "_"}  # fmt: skip


def _gain(result: Mapping[str, Any]) -> tuple[float, str] | None:
    """Over PyTorch eager: the lower end of the interval, as a search counts it."""
    value = (result.get("speedup") or {}).get("eager")
    if not value:
        return None
    low = value.get("low") or value["median"]
    return low, f"{value['median']:.2f}x over PyTorch eager, at least {low:.2f}x"


PROBLEM = Said(words=("problem", "kernel", "operator", "module"), files=("*.py",), holds=r"^class Model\b", shipped=_shipped, thing="problem")  # fmt: skip
THREADS = Said(
    words=("thread", "core", "cpu"),
    choices={"0": ("all cores", "every core", "all threads", "all the cores"), "1": ("single threaded", "single thread", "single core")},
)  # fmt: skip
MINUTES = Said(words=("time", "long", "minute"), unit="minutes")
SEED = Said(words=("random seed",))
PROPOSER = Said(
    words=("search",),
    choices={n: (n.replace("_", " "), f"{n.replace('_', ' ')} search") for n in ("heuristic", "random", "evolution", "memory", "cost_model", "portfolio")},
)  # fmt: skip
BASELINES = Said(
    words=("baseline",),
    choices={"eager": ("eager", "pytorch", "torch", "torch eager"), "compile": ("compile", "torch compile", "torch.compile", "inductor"), "onednn": ("onednn", "mkldnn")},
    joined=True,
)  # fmt: skip
CANDIDATE = Said(words=("candidate",), files=("*.py",), holds=r"^class ModelNew\b", thing="candidate")
TARGET = Said(
    words=("chip",),
    patterns=(
        (r"(?P<kind>cpu|cuda|hip|rocm|opencl|metal|sycl|vulkan) : (?P<name>\w[\w.]*)", "{kind}:{name}"),
    ),
    choices={"cpu:native": ("this cpu", "this machine", "this chip", "my cpu")},
)
SIZES = Said(words=("size",), patterns=((r"(?P<name>[a-z_]\w*)\s?=\s?(?P<value>\d+)", "{name}={value}"),))
AGAIN = {"again": Said(words=("again", "anew", "afresh"))}

OPTIMIZE = Says(
    words=("speed up", "faster", "quicker", "accelerate", "tune", "optimise", "make fast", "speed", "improve", "speedup", "as fast", "search"),
    nouns=("kernel", "operator", "op", "code", "run", "module", "fast", "time", "performance", "help", "cap"),
    examples=("make softmax.py twice as fast on one core, at most two minutes", "optimize softmax.py with 24 candidates"),
    options={
        "problem": PROBLEM, "target": TARGET, "minutes": MINUTES, "threads": THREADS, "proposer": PROPOSER, "seed": SEED, "sizes": SIZES,
        **SAID, "evaluations": Said(words=("candidate", "evaluation", "try", "trial", "attempt"), ceiling=True),
    },
    gives={"run": "run", "candidate": "candidate.path", "evidence": "evidence"},
    gain=_gain,
    bound=2.0,
)  # fmt: skip
EVALUATE = Says(
    words=("judge", "test", "correct", "right", "beat", "check", "how fast", "eval", "compare", "faster than", "quicker than", "slower than",
           "same results as", "same result as", "same output as", "same outputs as", "same answer as"),
    misread=((r"(?:make|get|speed up|optimi[sz]e|tune) .*", "it judges what is there and makes nothing faster"),),
    nouns=("kernel", "give", "compute", "candidate", "against", "compared", "fast", "correct", "right", "how much", "much", "truly"),
    examples=("is fast_softmax.py right for softmax.py?", "evaluate fast_softmax.py on softmax.py"),
    options={"candidate": CANDIDATE, "problem": PROBLEM, "threads": THREADS, "baselines": BASELINES, "sizes": SIZES},
    gives={"evidence": "evidence"},
)  # fmt: skip
PROFILE = Says(
    words=("why is it slow", "why is it so slow", "bottleneck", "where does the time go", "what limits it", "why is", "slow", "hot loops", "why is it fast"),
    nouns=("why", "kernel", "is", "slow", "time", "profile", "show", "winner"),
    examples=("why is it slow?", "profile fast_softmax.py on softmax.py"),
    options={"candidate": CANDIDATE, "problem": PROBLEM, "threads": THREADS, "sizes": SIZES, "against": Said(words=("against", "compared with"))},
)  # fmt: skip
REPLAY = Says(
    words=("repeat the verdict",),
    nouns=("verdict", "evidence"),
    examples=("replay evidence.json",),
    options={"evidence": Said(files=("*.json",), thing="evidence")},
)
AUDIT = Says(
    words=(
        "zeros pass",
        "constant pass",
        "degenerate",
        "cheated",
        "cheat",
        "hackable",
        "sound",
    ),
    nouns=("problem", "whether", "check"),
    examples=("would zeros pass for softmax.py?", "audit softmax.py"),
    options={
        "problem": PROBLEM,
        "harden": Said(words=("harden", "hardening", "hardening it")),
        "sizes": SIZES,
    },
)
REDTEAM = Says(
    words=("red team", "cheats", "known cheats", "attacks"),
    nouns=("corpus", "run", "known"),
    examples=("run the known cheats",),
)
ROOFLINE = Says(
    words=("how fast is my machine", "how fast is this machine", "what can this machine do", "bandwidth", "peak", "what can my machine do"),
    nouns=("measure", "machine", "chip", "cpu", "peak", "bandwidth", "memory", "box", "computer", "laptop", "server"),
    examples=("how fast is my machine?",),
    options={"threads": THREADS, **AGAIN},
)  # fmt: skip
DEMO = Says(
    words=("demonstration",),
    nouns=("run", "show", "each", "example"),
    examples=("run the demo",),
    options={"minutes": MINUTES, "threads": THREADS},
    bound=1.0,
)
