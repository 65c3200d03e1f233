"""How long does the assistant's grammar take for a sentence? `python bench/assistant.py [--json]`

Every sentence of tests/assistant/*.toml, in a folder with files, in one process: the first one cold (imports, the folder's files, the vocabulary), the
others warm. Aim: under 50 ms a sentence, warm.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "assistant"))


def measured() -> dict[str, float]:
    """Milliseconds. `cold` is a new process's first sentence without Python's own start; follow-ups are timed after their conversation."""
    began = time.perf_counter()
    import saying

    from kerf.assistant.grammar import understand

    with tempfile.TemporaryDirectory() as made:
        folder = saying.folder(Path(made))
        conversation = saying.Conversation(folder)
        understand("place gcd with 10 um halo", conversation.context)
        cold = time.perf_counter() - began
        warm, worst = [], ""
        for case in [c for n in ("utterances", "refused", "heldout") for c in saying.cases(f"{n}.toml")]:
            conversation.context.turns.clear()
            conversation.context.pending = None
            for sentence in case.get("before", ()):
                conversation.say(sentence)
            began = time.perf_counter()
            understand(case["say"], conversation.context)
            warm.append(time.perf_counter() - began)
            worst = case["say"] if warm[-1] == max(warm) else worst
    return {
        "sentences": len(warm),
        "cold_ms": 1000 * cold,
        "median_ms": 1000 * statistics.median(warm),
        "p95_ms": 1000 * statistics.quantiles(warm, n=20)[-1],
        "worst_ms": 1000 * max(warm),
        "worst": worst,  # type: ignore[dict-item]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    found = measured()
    if parser.parse_args().json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{k:<10} {v:.1f}" if isinstance(v, float) else f"{k:<10} {v}" for k, v in found.items()))  # fmt: skip


if __name__ == "__main__":
    main()
