"""What verification reaches, as one table beside published numbers.

`python bench/verification.py --data FOLDER [--only PART,...] [--no-run]`, with checkouts in FOLDER (public data, never part of this repository):
github.com/ZixiBenZhang/ml4dv, NVlabs/verilog-eval, NVlabs/FVEval, YosysHQ/picorv32 and ekiwi/rtl-repair. Each part is a command of its own too,
bench/verification_PART.py; its rows are kept in bench/results, and `--no-run` prints those that are there. All of it takes about an hour on one core.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from verification_table import RESULTS, Row, kept, table

PARTS = ("coverage", "judge", "repair", "sva", "mutation", "equiv")


def run(part: str, data: Path) -> None:
    """In a process of its own, so that its processor time is its own."""
    script = Path(__file__).with_name(f"verification_{part}.py")
    subprocess.run([sys.executable, script, "--data", data, "--out", results(part)], check=True)


def results(part: str) -> Path:
    return RESULTS / f"verification_{part}.json"


def rows(part: str) -> list[Row]:
    command = f"bench/verification_{part}.py --data FOLDER"
    return [row | {"command": command} for row in kept(results(part))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the checkouts")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--no-run", action="store_true", help="print what was measured before")
    chosen = parser.parse_args()
    parts = [p for p in PARTS if p in chosen.only.split(",")]
    if not chosen.no_run and not chosen.data:
        parser.error("--data FOLDER is needed to measure; --no-run prints what was measured before")
    for part in parts if not chosen.no_run else ():
        run(part, chosen.data)
    print(table([row for part in parts for row in rows(part)]))


if __name__ == "__main__":
    main()
