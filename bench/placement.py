"""The placement benchmark: every case's number beside the published one, in one table.

    python bench/placement.py --data FOLDER [--only iccad04 proxy/nvdla ...] [--resume] [--minutes M] [--threads T] [--seed S]
                              [--out bench/results/placement.json] [--keep FOLDER] [--effort E]
    python bench/placement.py --only clustered --cases FOLDER

FOLDER (or KERF_PLACEMENT_DATA) is laid out as docs/placement.md says. Groups: proxy_speed (the exact evaluator), medium01 and aes (one stage
each, beside OpenROAD), speed (synthetic netlists), proxy (clustered netlists), iccad04, ct_fixed and ct_free (Google's Ariane), coloquinte (the
pip-installable placer, side by side), and clustered: any folder of Circuit Training cases, such as those of the 2026 macro placement
challenge, each a folder with netlist.pb.txt and initial.plc. A row is appended to --out as each case ends; --resume passes over the cases
that have one. CPU seconds count threads and child processes. HPWL, proxy cost and legality are measured on the final positions by the
evaluators alone. `--minutes` replaces every group's own budget (10 minutes for proxy and clustered, else 20).
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import placement_peers
import placement_stages
import placement_whole
from placement_measure import Asked, Case
from placement_table import Results, Row, markdown

HERE = Path(__file__).resolve().parent
ORDER = [
    "proxy_speed",
    "medium01",
    "aes",
    "speed",
    "proxy",
    "iccad04",
    "ct_fixed",
    "ct_free",
    "coloquinte",
    "clustered",
]


def main() -> None:
    args = _arguments()
    asked = Asked(args.data, args.cases, args.minutes, args.threads, args.seed, args.keep, args.effort)
    every = [case for piece in PIECES for case in piece.cases(asked)]
    chosen = [case for case in every if not args.only or any(_names(o, case) for o in args.only)]
    lost = [wanted for wanted in args.only or [] if not any(_names(wanted, case) for case in every)]
    if lost or not chosen:
        sys.exit(
            f"no case is {', '.join(lost) or 'there'}: the groups are {', '.join(ORDER)}; the data is in {args.data}"
            + ("" if args.data.is_dir() else ", which is no folder (--data, KERF_PLACEMENT_DATA)")
        )
    results = Results(args.out)
    for case in sorted(chosen, key=lambda case: ORDER.index(case.group)):
        if args.resume and results.has(case.group, case.name):
            continue
        for row in one(case, asked, args):
            results.add(row)
            print(markdown([row]).splitlines()[2], flush=True)
    wanted = {(case.group, case.name) for case in chosen}
    print("\n" + markdown([r for r in results.rows.values() if (r.group, r.case) in wanted]))
    print(f"\n{results.machine}; {args.out}")


PIECES = (placement_stages, placement_whole, placement_peers)


def _names(wanted: str, case: Case) -> bool:
    """`iccad04`, `iccad04/ibm01`, or `ibm01`."""
    return wanted in (case.group, case.name, f"{case.group}/{case.name}")


def one(case: Case, asked: Asked, args: argparse.Namespace) -> list[Row]:
    """The rows of a case; of one that fails, whatever the reason, a row that says why, so that the others still run."""
    command = f"python bench/placement.py --only {case.group}/{case.name} --threads {asked.threads} --seed {asked.seed}"
    command += f" --minutes {asked.minutes:g}" if asked.minutes else ""
    command += f" --cases {asked.cases}" if case.group == "clustered" else ""
    try:
        rows = case.run(asked)
    except Exception as error:
        if args.strict:
            raise
        rows = [Row(case.group, case.name, "", "", float("nan"), problem=f"{type(error).__name__}: {error}")]
    return [replace(row, command=command, seed=asked.seed, threads=asked.threads) for row in rows]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("KERF_PLACEMENT_DATA", "placement-data"))
    )
    parser.add_argument("--cases", type=Path, help="a folder of clustered cases, for the group clustered")
    parser.add_argument("--only", nargs="*", metavar="GROUP|CASE", help="groups, cases or GROUP/CASE")
    parser.add_argument("--minutes", type=float, help="wall-clock budget of each whole run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effort", type=int, default=3, help="coloquinte's effort, 1 to 9")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--strict", action="store_true", help="stop at the first case that fails")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "placement.json")
    parser.add_argument(
        "--keep", type=Path, default=HERE.parent / "runs" / "bench_placement", help="where placements go"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
