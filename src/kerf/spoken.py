"""How people say the verbs that belong to no domain: about the archive and the machine."""

from __future__ import annotations

from kerf.core.speech import Said, Says

RUN = Said(thing="run")
RUNS = Says(
    words=("list", "list runs", "show runs", "history", "which runs"),
    nouns=("run", "show", "my", "last", "newest", "archive", "latest", "recent"),
    examples=("show my last three runs",),
    misread=((r"keep", "it lists runs, and keeps none"),),
    options={"limit": Said(words=("run", "last", "newest", "latest"))},
)
SHOW = Says(
    words=("source", "show run", "winner"),
    nouns=("run", "winner", "print", "details"),
    examples=("show the last run",),
    options={"run": RUN, "source": Said(words=("source", "sources", "winner's source", "code"))},
)
RESUME = Says(
    words=("go on", "continue", "keep going", "carry on"),
    nouns=("run", "up", "until", "search"),
    misread=((r"\d+ more|another \d+", "its limits are totals: say how much in all"),),
    examples=("resume the last run",),
    options={
        "run": RUN,
        "minutes": Said(words=("time", "minute"), unit="minutes"),
        "evaluations": Said(words=("candidate", "evaluation", "try"), ceiling=True),
        "max_dollars": Said(unit="dollars"),
        "max_tokens": Said(words=("token",), ceiling=True),
    },
    gives={"run": "run"},
)
COMPARE = Says(
    words=("difference", "what changed"),
    nouns=("run", "between", "winner"),
    examples=("compare the last two runs",),
    options={"a": RUN, "b": RUN},
)
EXPORT = Says(
    words=("write out", "write the kernel", "write it out", "save"),
    nouns=("run", "kernel", "result", "winner", "out", "files"),
    examples=("export the last run to ./mine",),
    options={
        "run": RUN,
        "out": Said(words=("to", "into", "folder", "out to")),
        "custom_op": Said(words=("custom op", "operator")),
    },
)
PRUNE = Says(
    needs=("keep", "days", "megabytes"),
    words=(
        "delete",
        "delete runs",
        "clean up",
        "shrink",
        "make the archive smaller",
        "keep only",
        "keep the last",
        "keep the newest",
        "drop runs",
        "remove runs",
    ),
    nouns=("run", "archive", "only", "newest", "old", "older", "everything", "than", "smaller"),
    misread=(
        (
            r"(?:delete|drop|remove|prune|clean up|free)(?: the)?(?: (?:last|newest|latest|oldest|first))? \d+ ?(?:runs?|megabytes?|mb)",
            "it drops the oldest until so many are left: say how much to keep",
        ),
        (r"by \d+", "its limits are what is left: say down to how much"),
    ),
    examples=("keep only the 10 newest runs", "delete runs older than 30 days"),
    options={
        "keep": Said(
            words=(
                "keep",
                "keep only",
                "newest",
                "keep the last",
                "keep the newest",
                "but the last",
                "except the last",
            )
        ),
        "days": Said(words=("older than",), unit="days"),
        "megabytes": Said(words=("megabyte", "mb"), unit="megabytes"),
    },
)
DOCTOR = Says(
    words=(
        "what is missing",
        "missing",
        "check my installation",
        "installed",
        "installation",
        "is everything installed",
    ),
    nouns=("machine", "everything", "check", "setup", "box", "computer"),
    examples=("what is missing on this machine?",),
)
