"""What a run of `kerf place` is to its users once it is over: the placement, its picture, and the recipe that led to it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kerf.archive import Archive
from kerf.archive.transfer import write_files
from kerf.core.types import KerfError
from kerf.placement.design import Design
from kerf.placement.formats import load
from kerf.placement.output import OWN, output_for
from kerf.placement.packing import unpack
from kerf.placement.place import request_of


def export(archive: Archive, run: str, folder: Path) -> Path:
    """Write the winner of a run into `folder`/placement, from the archive alone: NAME.placed in the design's own format, its picture,
    recipe.json, and request.json, what was asked. Returns the placement's path.

    Raises KerfError for a run without a measured winner, of a design given from Python, or whose files are gone or changed."""
    winner, record, request = archive.winner(run), archive.run(run), request_of(archive, run)
    if not request.design:
        raise KerfError(
            f"run {run} placed a design given from Python: its placement is what kerf.place(design, resume={run!r}) returns there"
        )
    design = load(Path(request.design), [Path(p) for p in (request.start, *request.lef) if p])
    target = folder / "placement"
    output = output_for(design, target / f"{design.name}.placed{OWN.get(design.format, '.aux')}")
    output.write(unpack(_packed(archive, run, winner.id, record.evaluator_key, design), design))
    write_files(winner, target)
    (target / "request.json").write_text(json.dumps(asdict(request), indent=1) + "\n")
    return output.path


def _packed(archive: Archive, run: str, winner: str, evaluator: str, design: Design) -> str:
    evaluation: Any = archive.confirmations(run).get(winner) or archive.lookup(winner, evaluator)
    if evaluation is None or "placement" not in evaluation.detail:
        raise KerfError(f"run {run} kept no placement of {design.name}: place it again")
    return str(evaluation.detail["placement"])
