"""How people say the verification verbs. What should hold is passed on in the speaker's words: `english` reads it."""

from __future__ import annotations

from kerf.core.speech import Said, Says
from kerf.verification.belonging import apart

DESIGN = Said(
    words=("design", "module"),
    files=("*.sv", "*.v"),
    shipped=lambda: {"example": "example"},
    thing="design",
)
TOP = Said(words=("top module", "top"), thing="top")
MINUTES = Said(words=("time", "long", "minute"), unit="minutes")
NAME = r"(?P<name>(?!(?:it|this|that|what|there|which|the)\b)[a-z_]\w*)"
LOW = r"(?: ,)?(?: and| \()?(?: it)?(?: is)? active[ -]low(?: \))?"
LOADING = {
    "top": TOP,
    "define": Said(words=("macro",), thing="define"),
    "include": Said(words=("include folder",), thing="include"),
    "parameter": Said(words=("parameter",), thing="parameter", patterns=((r"(?P<name>\w+)\s?=\s?(?P<value>\w+)", "{name}={value}"),)),
    "reset": Said(
        words=("reset",),
        thing="reset",
        patterns=(
            (rf"{NAME} is (?:the |my |our )?reset(?: signal| input)?,?{LOW}", "!{name}"),
            (rf"{NAME} is (?:the |my |our )?reset(?: signal| input)?", "{name}"),
            (rf"(?:the )?reset (?:signal |input )?(?:is (?:called )?)?{NAME}{LOW}", "!{name}"),
            (rf"(?:the )?active[ -]low reset (?:signal |input )?(?:is (?:called )?)?{NAME}", "!{name}"),
        ),
    ),
}  # fmt: skip
EVER = r"(?:is|are|can|could|does|may) (?P<rest>it|the \w+|\w+\.s?v|\w+) (?:ever )?(?:be |get )?(?:ever )?both (?P<one>\w+) and (?P<two>\w+)(?: at once| at the same time)?"
IN = r"(?:check|assert|prove|show|verify|ensure) (?:in|for|of|on) (?P<rest>the \w+|\S+) that (?P<told>.+)"
WHENEVER = r"(?P<told>(?:whenever|every time) .+?)(?: ,)? (?:in|for) (?P<rest>the \w+|[\w./-]+\.s?v)"
HOLDS = r"^(?P<told>(?!(?:check|assert|prove|show|verify|ensure|make|is|are|does|do|that|it|i|we|you)\b)[a-z_]\w*(?:\[\w+\])? (?:\w+ )*?(?:implies|always|never)\b .+?)(?: ,)? (?:in|for) (?P<rest>the \w+|[\w./-]+\.s?v)"
WISH = Said(
    text=True,
    words=("that",),
    patterns=((EVER, "never both {one} and {two}"), (IN, "{told}"), (WHENEVER, "{told}"), (HOLDS, "{told}")),
)

VERIFY = Says(
    words=("check", "bugs", "bug", "find bugs", "verification", "test"),
    nouns=("assertion", "any", "there", "find", "coverage", "left", "how good", "test", "use", "invariant", "close", "what", "holes", "together", "reachable", "assert", "many", "survive", "survived", "killed"),
    examples=("prove the assertions in fifo.sv", "verify fifo.sv for 30 s", "cover what is left"),
    options={
        **LOADING,
        "design": DESIGN,
        "minutes": MINUTES,
        "goal": Said(
            choices={
                "prove": ("prove", "proof", "proofs"),
                "cover": ("cover", "coverage", "close the coverage", "close coverage"),
                "mutate": ("mutate", "mutants", "mutant", "mutation"),
                "mine": ("mine", "mine assertions", "invariants", "find invariants", "mining"),
                "all": ("everything", "all goals"),
            },
            joined=True,
        ),
        "spec": Said(files=("*.sva", "*.spec")),
        "test": Said(words=("stimulus", "testbench"), files=("*.csv", "*.vcd", "tb_*.sv", "*_tb.sv", "tb_*.v", "*_tb.v", "test_*.py")),
        "reset_free": Said(words=("reset free", "reset at any time")),
    },
    means={**{f"{do} {which}assertions": {"goal": "prove"} for do in ("check", "verify", "test") for which in ("", "the ", "all ", "all the ", "its ", "my ")},
           "prove": {"goal": "prove"}, "cover": {"goal": "cover"}, "mutate": {"goal": "mutate"}, "mine": {"goal": "mine"},
           "mutants": {"goal": "mutate"}, "invariants": {"goal": "mine"}, "coverage": {"goal": "cover"}, "find invariants": {"goal": "mine"}},
    gives={"run": "run"},
    apart=apart,
    bound=1.0,
)  # fmt: skip
ASSERT = Says(
    words=("assert that", "check that", "does it hold that", "is it true that", "make sure that", "prove that", "ensure that",
           "does it hold", "is it true", "is it ever", "ever both", "both"),
    nouns=("check", "does", "hold", "true", "that"),
    examples=("is the fifo ever both full and empty?", "check in fifo.sv that count never exceeds 4"),
    options={**LOADING, "sentence": WISH, "design": DESIGN, "minutes": MINUTES},
    gives={"run": "run"},
    apart=apart,
    bound=1.0,
)  # fmt: skip
EQUIV = Says(
    words=("equivalent", "the same as", "same as", "are _ the same", "compute what", "do what", "does what", "equal", "by proof", "equals", "equivalence", "compare", "behave like", "behave as"),
    nouns=("check", "that", "prove", "compare", "behave", "first", "design", "deep"),
    examples=("is arbiter.v the same as arbiter_fixed.v?",),
    options={
        "a": Said(files=("*.sv", "*.v"), thing="design"), "b": Said(files=("*.sv", "*.v")), "minutes": MINUTES,
        "bounded": Said(words=("cycle",)), "top": TOP, "reset": LOADING["reset"], "define": LOADING["define"], "include": LOADING["include"],
    },
    bound=1.0,
)  # fmt: skip
LIKE = (
    "match", "matches", "equal", "equals", "like", "behave like", "behave as", "the same as", "same as", "equivalent", "agree with", "pass", "do what",
)  # fmt: skip
REPAIR = Says(
    words=("fix", "mend", "debug", "find repairs", "correct", "repairs"),
    nouns=("bug", "find", "that", "repair", "show"),
    examples=("fix arbiter.v", "repair fifo.sv so that it matches table.csv"),
    options={
        **LOADING, "design": DESIGN, "minutes": MINUTES,
        "trace": Said(words=("table", *LIKE), files=("*.csv",)),
        "reference": Said(words=("reference", "golden", *LIKE), files=("*.sv", "*.v")),
        "zero": Said(words=("start at zero", "registers start at zero", "zero registers")),
        "most": Said(words=("repair", "fix")),
        "assertion": Said(text=True, words=("such that",)),
        "out": Said(words=("to", "into", "write to")),
    },
    apart=apart,
    bound=1.0,
)  # fmt: skip
WHY = Says(
    words=("explain", "why is", "why does", "why was"),
    nouns=("high", "low", "set", "go", "up", "wrong", "value", "signal"),
    examples=("why is full high at cycle 9?",),
    options={
        "signal": Said(name=True, words=("signal",), patterns=((r"(?<=why is |hy was )(?P<name>(?!(?:it|this|that|the)\b)[a-z_][\w.\[\]]*) (?:= |at |stuck at )?\d+(?! \w+s\b)", "{name}"),)),
        "at": Said(words=("cycle", "time", "tick", "at")),
        "run": Said(thing="run"),
        "top": Said(thing="none"),
        "design": Said(thing="none"),
        "trace": Said(files=("*.vcd", "*.csv")),
    },
)  # fmt: skip
JUDGE = Says(
    words=("grade",),
    nouns=("against", "answer", "reference"),
    examples=("grade answers against references",),
    options={
        "references": Said(words=("against", "reference")),
        "answers": Said(words=("grade", "judge", "answer")),
    },
)
