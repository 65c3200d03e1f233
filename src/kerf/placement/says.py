"""How people say the placement verbs. Constraints in everyday words become those of `constraints.kinds`."""

from __future__ import annotations

from kerf.core.speech import Said, Says
from kerf.placement.glimpse import refused
from kerf.proposers.agent.options import SAID

SIDE = r"(?P<side>left|right|top|bottom)"
AREA = r"(?:(?:box|area|region|rectangle|corner|space) )?"
BOX = r"(?P<a>[\d.]+)(?: ?, ?| )(?P<b>[\d.]+)(?: ?, ?| )(?P<c>[\d.]+)(?: ?, ?| )(?P<d>[\d.]+)"
DESIGN = Said(
    words=("design", "netlist", "chip"),
    files=("*.aux", "*.def", "*.def.gz", "*.pb.txt", "*.v"),
    shipped=lambda: {"example": "example"},
    thing="chip",
)
PLACEMENT = Said(
    words=("placement",), files=("*.pl", "*.plc", "*.placed.def", "*.def", "*.def.gz"), thing="placement"
)
CONSTRAINT = Said(
    words=("constraint",),
    patterns=(
        (rf"<names> (?:on|at|along|to|against) (?:the )?{SIDE}(?: (?:edge|side|border))?", "edge {names} {side}"),
        (rf"(?:on|at|along|to|against) (?:the )?{SIDE}(?: (?:edge|side|border))?", "edge THEM {side}"),
        (r"<names> (?P<rest>of \S+ )?(?:at least )?<length>(?= apart)", "halo {names} {length}"),
        (r"(?:a |the )?halos? of (?:at least )?<length>(?: (?:around|for|on) <names>)?", "halo {names} {length}"),
        (r"(?:a |an )?<length> halos?(?: (?:around|for|on) <names>)?", "halo {names} {length}"),
        (r"<length> (?:around|of space around) <names>", "halo {names} {length}"),
        (r"<names> (?:together )?within <length>(?! ?(?:min|sec|hour|s\b|h\b))(?: of (?:each other|1 another))?", "group {names} within {length}"),
        (rf"(?:keep|keeping|leave|leaving) (?:the )?{AREA}{BOX} (?:free|empty|clear|open)", "keepout {a} {b} {c} {d}"),
        (rf"(?:nothing|no cells?) (?:inside|in|into|within) (?:the )?{AREA}{BOX}", "keepout {a} {b} {c} {d}"),
        (rf"<names> (?:inside|in|into|within) (?:the )?{AREA}{BOX}(?P<only> (?:exclusively|exclusive|alone))?", "region {names} {a} {b} {c} {d}{only}"),
        (rf"align(?:ed|ing)? <names>(?: (?:on|at|by|along|to))?(?: (?:the|their))? {SIDE}(?: (?:edges?|sides?))?", "align {names} {side}"),
        (r"<names> (?:stay |stays |stand |fixed )?(?:fixed|where they are|untouched|in place)", "fixed {names}"),
        (r"(?:without|don ' t|do not|never|not|no) (?:move|moving|shift|shifting) <names>", "fixed {names}"),
        (r"(?P<whole>(?:fixed|region|halo|edge|group|align|orient) \S*\*\S* [^,]+)", "{whole}"),
    ),
)  # fmt: skip
LEF = Said(files=("*.lef",), thing="lef")
THREADS = Said(
    words=("thread", "core", "cpu"),
    choices={"0": ("all cores", "every core", "all threads", "all the cores"), "1": ("single threaded", "single thread", "single core")},
)  # fmt: skip
OUTPUT = Said(
    words=("to", "into", "write to", "write it to", "write", "save to", "save it to", "save as", "file")
)
PLACE = Says(
    words=("lay out", "floorplan", "put down", "put _ down", "put _ apart", "layout", "place", "refine", "when placing", "do a placement", "do placement", "run placement", "run a placement", "make a placement"),
    means={f"minimise {the}{what}": {"target": target} for the in ("", "the ")
           for what, target in (("congestion", "routability"), ("wirelength", "hpwl"), ("wire length", "hpwl"), ("wires", "hpwl"), ("proxy cost", "proxy"))},
    nouns=("chip", "macro", "cell", "put", "keep", "design", "netlist", "minimise", "minimize", "write", "start", "apart", "critical paths", "instead of starting from scratch", "instead of starting afresh", "not from scratch"),
    examples=("place ct_ariane with the caches on the left edge, 10 um halo, then show me congestion", "place the example"),
    options={
        "design": DESIGN, "constraint": CONSTRAINT, "threads": THREADS, "output": OUTPUT, "lef": LEF,
        "target": Said(
            words=("objective", "optimise for", "optimise", "minimise"),
            choices={
                "hpwl": ("hpwl", "short wires", "wirelength", "shortest wires", "wire length"),
                "routability": ("routability", "can be routed", "routable", "lowest congestion", "low congestion", "less congestion"),
                "proxy": ("proxy", "proxy cost"),
            },
        ),
        "minutes": Said(words=("time", "long", "minute"), unit="minutes"),
        "density": Said(words=("full",), unit="share"),
        "start": Said(words=("from", "start from", "starting from", "refine"), files=("*.pl", "*.plc", "*.def", "*.def.gz")),
        "resume": Said(thing="none"),
        "slack": Said(words=("slack report", "late path", "critical path", "timing report"), files=("*.slack", "*.rpt")),
        "proposer": Said(choices={n: (n, f"{n} search") for n in ("portfolio", "evolution", "memory", "random")}),
        "fix": Said(thing="none"), **SAID, "evaluations": Said(words=("recipe", "evaluation", "try", "trial", "attempt"), ceiling=True),
    },
    gives={"run": "run", "placement": "output"},
    refuses=refused,
    bound=5.0,
)  # fmt: skip
SCORE = Says(
    words=("legal", "wirelength", "how good is the placement", "how long are the wires", "hpwl", "proxy cost", "overlaps", "how good", "how much wire", "how many wires"),
    nouns=("placement", "wire", "have", "that came with", "design", "measure"),
    examples=("is the placement of gcd.def legal?", "score gcd.def"),
    options={"design": DESIGN, "placement": PLACEMENT, "constraint": Said(thing="none"), "lef": LEF},
)  # fmt: skip
DRAW = Says(
    words=("picture", "plot", "show", "see", "render", "visualise", "visualize", "view"),
    means={"congested": {"map_name": "congestion"}, "crowded": {"map_name": "congestion"}, "animate": {"animate": "@run"}, "animation": {"animate": "@run"}},
    nouns=("placement", "map", "chip", "layout", "where", "picture"),
    examples=("show me the congestion of ct_ariane", "draw gcd.def"),
    options={
        "design": DESIGN, "placement": PLACEMENT, "output": OUTPUT, "lef": LEF, "constraint": Said(thing="none"),
        "map_name": Said(
            words=("map",),
            choices={
                "density": ("density", "density map"), "rudy": ("rudy", "wire density"), "pins": ("pins", "pin map", "pin density"),
                "congestion": ("congestion", "congestion map"), "none": ("no map", "without a map"),
            },
        ),
        "nets": Said(words=("net of", "nets of")),
        "animate": Said(thing="none", instead=("placement",)),
    },
    gives={"picture": "output"},
    refuses=refused,
)  # fmt: skip
DIFF = Says(
    words=("difference", "what moved", "what changed", "differ", "compare", "which is better", "which one is better", "which placement is better"),
    nouns=("placement", "between", "or"),
    examples=("diff gcd.def one.pl two.pl",),
    options={
        "design": DESIGN, "a": Said(files=("*.pl", "*.plc", "*.def", "*.def.gz")), "b": Said(files=("*.pl", "*.plc", "*.def", "*.def.gz")), "output": OUTPUT, "lef": LEF,
    },
)  # fmt: skip
