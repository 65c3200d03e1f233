"""How long does the assistant's grammar take for a sentence? `python bench/assistant.py [--json]`

Every sentence of tests/assistant/*.toml, in a folder with files, in one process. Aim: under 50 ms a sentence.
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


def measured() -> dict[str, float | str]:
    """Milliseconds. `process_cold`: imports and the first sentence of a process, without Python's own start; `first`: every sentence when it
    is heard first; `warm`: the best of three. Follow-ups are timed after their conversation."""
    began = time.perf_counter()
    import saying

    from kerf.assistant.grammar import understand

    with tempfile.TemporaryDirectory() as made:
        folder = saying.folder(Path(made))
        conversation = saying.Conversation(folder)
        understand("place gcd with 10 um halo", conversation.context)
        cold = time.perf_counter() - began
        first, warm, worst = [], [], ""
        for case in [
            c
            for n in ("utterances", "refused", "heldout", "heldout2", "heldout3", "changing")
            for c in saying.cases(f"{n}.toml")
        ]:
            conversation.context.turns.clear()
            conversation.context.pending = None
            for sentence in case.get("before", ()):
                conversation.say(sentence)
            times = []
            for _ in range(3):
                began = time.perf_counter()
                understand(case["say"], conversation.context)
                times.append(1000 * (time.perf_counter() - began))
            first.append(times[0])
            warm.append(min(times))
            worst = case["say"] if warm[-1] == max(warm) else worst
    return {
        "sentences": len(warm),
        "process_cold_ms": 1000 * cold,
        "first_median_ms": statistics.median(first),
        "first_worst_ms": max(first),
        "warm_median_ms": statistics.median(warm),
        "warm_worst_ms": max(warm),
        "worst": worst,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    found = measured()
    if parser.parse_args().json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{k:<16} {v:.1f}" if isinstance(v, float) else f"{k:<16} {v}" for k, v in found.items()))  # fmt: skip


if __name__ == "__main__":
    main()
