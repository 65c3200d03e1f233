"""The run as a whole: recipes to legal placements, what is written, stopped, killed and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import kerf
from kerf.archive import Archive
from kerf.cli import build
from kerf.core.types import KerfError
from kerf.placement.course import Clock, Course
from kerf.placement.design import Design, Kind, Placement, Rows
from kerf.placement.diff import diff
from kerf.placement.examples.mesh import mesh
from kerf.placement.formats import bookshelf, load, load_placement
from kerf.placement.hpwl import hpwl
from kerf.placement.legality import check
from kerf.placement.place import Placed, place, place_files
from kerf.placement.problem import pose
from kerf.placement.recipe import Recipe, recipe_of
from kerf.placement.score import score
from kerf.placement.search import Request
from kerf.placement.shares import Shares
from kerf.placement.space import RecipeSpace
from kerf.placement.steps import Step
from kerf.proposers.conformance import CHECKS


def small(macros: int = 2, cells: int = 60, nets: int = 80, seed: int = 0, **changed: Any) -> Design:
    """Macros of 12 by 9, cells one row high, eight ports at the left, nets of 2 to 4 pins; 20 rows of 3 by 60."""
    rng = np.random.default_rng(seed)
    count, ports = macros + cells, 8
    sizes = rng.integers(2, 5, nets)
    pins = int(sizes.sum())
    kind = np.array([Kind.MACRO] * macros + [Kind.CELL] * cells + [Kind.PORT] * ports, np.int8)
    x = np.concatenate([np.full(count, np.nan), np.zeros(ports)])
    y = np.concatenate([np.full(count, np.nan), 3.0 + 7.0 * np.arange(ports)])
    values: dict[str, Any] = {
        "name": "small",
        "format": "bookshelf",
        "unit": "bookshelf",
        "per_um": None,
        "cell_names": [f"m{i}" for i in range(macros)]
        + [f"c{i}" for i in range(cells)]
        + [f"p{i}" for i in range(ports)],
        "width": np.concatenate([np.full(macros, 12.0), rng.integers(1, 5, cells), np.zeros(ports)]),
        "height": np.concatenate([np.full(macros, 9.0), np.full(cells, 3.0), np.zeros(ports)]),
        "kind": kind,
        "fixed": kind == Kind.PORT,
        "net_names": [f"n{i}" for i in range(nets)],
        "net_start": np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        "net_weight": np.ones(nets),
        "pin_cell": rng.integers(0, count + ports, pins).astype(np.int64),
        "pin_x": np.zeros(pins),
        "pin_y": np.zeros(pins),
        "die": (0.0, 0.0, 60.0, 60.0),
        "rows": Rows.of([[0, 3 * i, 3, 1, 1, 60, 0] for i in range(20)]),
        "initial": Placement(x, y, np.zeros(count + ports, np.int64)),
    }
    return Design(**(values | changed))


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
    with Archive() as opened:
        yield opened


def counted(monkeypatch: pytest.MonkeyPatch, name: str, then: Callable[[], None] = lambda: None) -> list[str]:
    """Calls of a stage, noted; `then` follows each."""
    calls: list[str] = []
    real = getattr(Course, f"_{name}")

    def stage(course: Course, placement: Placement) -> Placement:
        calls.append(name)
        found: Placement = real(course, placement)
        then()
        return found

    monkeypatch.setattr(Course, f"_{name}", stage)
    return calls


# Designs into placements


def test_a_mixed_design_becomes_legal_and_says_what_it_is(archive: Archive) -> None:
    seen: list[Any] = []
    found = place(small(), threads=1, archive=archive, watch=seen.append)
    assert found.legal and check(small(), found.placement).legal
    assert found.report["status"] == "legal" and found.report["violations"] == []
    assert found.report["hpwl"] == hpwl(small(), found.placement)
    assert {"proxy", "overlaps", "out_of_die", "output", "seconds", "cpu_seconds", "seed", "unit"} <= set(
        found.report
    )
    assert {s.phase for s in seen if isinstance(s, Step)} >= {"global", "macros", "legalize", "detailed"}
    json.dumps(found.report)


def test_the_same_seed_gives_the_same_placement(archive: Archive) -> None:
    one, two = (place(small(), threads=1, seed=3, archive=archive).placement for _ in range(2))
    assert (one.x == two.x).all() and (one.y == two.y).all() and (one.orient == two.orient).all()


def test_a_given_start_is_refined_not_placed_afresh(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = place(small(), threads=1, archive=archive)
    calls = counted(monkeypatch, "global")
    second = place(small(), threads=1, start=first.placement, seed=1, archive=archive)
    assert calls == [] and second.report["hpwl"] <= first.report["hpwl"]
    first.placement.x[5] = np.nan  # a cell without a place: the rest is where to begin
    assert place(small(), threads=1, start=first.placement, archive=archive).legal
    assert calls == ["global"]


def test_constraints_hold_together(archive: Archive) -> None:
    asked = (
        "edge m0 left",
        "region c1* 30 0 60 60",
        "keepout 20 20 30 30",
        "align c2 c3 c4 bottom",
        "halo m* 3",
    )
    found = place(small(), threads=1, constraints=asked, archive=archive)
    assert found.report["status"] == "legal", found.report["violations"]
    assert score(small(), found.placement, (), small().initial)["legal"]


def test_fixed_cells_do_not_move(archive: Archive) -> None:
    d = small()
    d.initial.x[:2], d.initial.y[:2] = [20, 40], [4.5, 19.5]
    found = place(d, threads=1, fix=["m*"], archive=archive)
    assert found.legal and (found.placement.x[:2] == [20, 40]).all()


@pytest.mark.parametrize(
    "design",
    [
        small(nets=0),
        small(macros=0),
        small(cells=0),
        small(macros=0, cells=1, nets=0),
        small(
            fixed=np.ones(70, np.bool_),
            initial=Placement(np.full(70, 3.5), np.full(70, 4.5), np.zeros(70, np.int64)),
        ),
        small(net_weight=np.zeros(80)),
        small(macros=26, cells=30),
    ],
    ids=["no nets", "no macros", "no cells", "one cell", "all fixed", "no weights", "crowded"],
)
def test_odd_designs_have_an_answer(design: Design, archive: Archive) -> None:
    assert place(design, threads=1, archive=archive).legal


@pytest.mark.parametrize(
    ("design", "asked", "said"),
    [
        (small(macros=0, cells=0), {}, "proxy cost needs a grid"),
        (small(die=(0.0, 0.0, 10.0, 60.0)), {"target": None}, "cell m0 .12 x 9. is larger than the die"),
        (small(macros=40), {"target": None}, "utilization 1[0-9][0-9]%"),
        (small(), {"target": "speed"}, "there is no target 'speed'"),
        (small(), {"target": None, "minutes": -1.0}, "--minutes takes a positive number"),
        (small(), {"target": None, "density": 7.0}, "--density is a share between 0 and 1"),
        (small(), {"target": None, "fix": ["c1"]}, "c1 has no position to stay at"),
        (small(), {"target": None, "constraints": ["edge m0 left", "edge m0 right"]}, "conflicts"),
        (replace(small(), fixed=np.ones(70, np.bool_)), {"target": None}, "fixed cells have no position"),
    ],
)
def test_what_cannot_be_placed_is_refused(
    design: Design, asked: dict[str, Any], said: str, archive: Archive
) -> None:
    with pytest.raises(KerfError, match=said):
        place(design, archive=archive, **({"target": "proxy"} | asked))
    assert archive.runs() == [], "refused before any work"


def test_nothing_to_place_is_said(archive: Archive) -> None:
    empty = small(macros=0, cells=0, nets=0)
    none = replace(
        empty, cell_names=[], width=np.zeros(0), height=np.zeros(0), kind=np.zeros(0, np.int8), fixed=np.zeros(0, np.bool_),
        initial=Placement(np.zeros(0), np.zeros(0), np.zeros(0, np.int64)),
    )  # fmt: skip
    with pytest.raises(KerfError, match="has no cells"):
        place(none, archive=archive)


# Stopped, killed, failing


def test_the_first_interrupt_winds_up_to_something_legal(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    counted(monkeypatch, "global", lambda: os.kill(os.getpid(), signal.SIGINT))
    found = place(small(), threads=1, archive=archive)
    assert found.legal and found.report["stopped"] == "interrupted"
    assert archive.runs()[0].state == "interrupted"


def test_a_killed_run_goes_on_from_its_last_stage(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """As good as a kill: nobody catches it, and nothing is recorded after it."""

    def die(*_: object) -> Placement:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Course, "_detailed", die)
        with pytest.raises(Killed):
            place(small(), threads=1, archive=archive)
    run = archive.runs()[0].id
    calls = [counted(monkeypatch, name) for name in ("global", "macros", "cells", "legalize", "detailed")]
    found = place(small(), threads=1, archive=archive, resume=run)
    assert found.legal and found.report["run"] == run
    assert [len(c) for c in calls] == [0, 0, 0, 0, 1]
    assert archive.run(run).state == "done"


def test_a_run_of_another_design_is_not_gone_on_with(archive: Archive) -> None:
    run = place(small(), threads=1, archive=archive).report["run"]
    with pytest.raises(KerfError, match="other conditions"):
        place(small(seed=5), threads=1, archive=archive, resume=run)


def test_a_full_disk_under_the_archive_loses_no_placement(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise KerfError("the archive: no space left on device")

    monkeypatch.setattr(Archive, "record", full)
    found = place(small(), threads=1, archive=archive, output=tmp_path / "out.pl")
    assert found.legal and (tmp_path / "out.pl").exists()
    assert "no space left" in " ".join(found.report["notes"])


def test_an_illegal_placement_is_said_to_be_one(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    heap = Placement(np.full(70, 30.0), np.full(70, 31.5), np.zeros(70, np.int64))
    for stage in ("_legalize", "_detailed"):
        monkeypatch.setattr(Course, stage, lambda *_: heap)
    found = place(small(), threads=1, archive=archive)
    assert found.report["status"] == "illegal" and not found.legal
    assert found.report["violations"] and found.report["overlaps"] > 0


def test_a_stage_that_fails_after_something_legal_costs_only_what_it_would_have_gained(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Placement:
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(Course, "_detailed", fail)
    found = place(small(), threads=1, archive=archive)
    assert found.legal and "ZeroDivisionError: a bug of ours" in " ".join(found.report["notes"])
    monkeypatch.setattr(Course, "_legalize", fail)
    with pytest.raises(ZeroDivisionError):
        place(small(), threads=1, archive=archive)


def test_more_time_for_a_finished_run_goes_on_from_its_best(archive: Archive) -> None:
    first = place(small(), threads=1, archive=archive)
    more = place(small(), threads=1, archive=archive, resume=first.report["run"], minutes=0.1)
    assert more.legal and more.report["hpwl"] <= first.report["hpwl"]
    assert more.report["run"] == first.report["run"]


def test_a_stage_that_cannot_go_on_is_quoted(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Placement:
        raise KerfError("c7 fits no row")

    monkeypatch.setattr(Course, "_legalize", refuse)
    with pytest.raises(KerfError, match="small could not be placed: c7 fits no row"):
        place(small(), threads=1, archive=archive)


# The loop over recipes


def test_time_is_used_for_more_recipes_and_all_are_kept(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shares, "fits", lambda self: len(self.took) < 3)
    found = place(small(), threads=1, minutes=0.1, archive=archive)
    trials = archive.trials(found.report["run"])
    assert found.legal and found.report["recipes"] == 3
    passed = [t for t in trials if t.evaluation.score is not None]
    assert all("placement" in t.evaluation.detail for t in passed)
    best = max(t.evaluation.score or 0 for t in passed)
    mine = next(t for t in passed if t.evaluation.score == best)
    assert found.report["hpwl"] == pytest.approx(mine.evaluation.metrics["hpwl"].value)


def test_recipes_are_points_that_proposers_know() -> None:
    import random

    d = small()
    space = RecipeSpace(d, pose(d).lowered.rules, "hpwl", {"seed": 4})
    rng = random.Random(0)
    points = [space.default(), *(space.sample(rng) for _ in range(20))]
    for a in points:
        for b in (
            space.mutate(a, rng),
            space.cross(a, points[0], rng),
            space.adapt({**a, "odd": 1, "stop": 0.08}),
        ):
            assert space.adapt(b) == b and set(b) == set(space.default())
        candidate = space.candidate(a, parent=None, proposer="me")
        assert recipe_of(candidate.files) == Recipe.of(a)
        assert len(space.features(a)) == len(space.features(points[0]))
    assert space.default()["seed"] == 4
    assert CHECKS, "proposers are checked on a space of their own"


def test_a_clock_shares_what_is_left() -> None:
    assert Clock(100.0).end.left == float("inf") and Clock(0.0).end.passed, "no stage fills it unasked"
    assert Clock(100.0, fill=True).end.left <= 100
    clock = Clock(100.0)
    assert 49 < clock.share(0.5).left <= 50
    clock.stop.set()
    assert clock.share(0.5).passed and clock.share(1.0).left == 0
    assert Clock(None).share(0.5).left == float("inf")


# Files, pictures, the command line


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Placed]:
    folder = tmp_path_factory.mktemp("placed")
    bookshelf.write(folder / "small.aux", small(), small().initial)
    with Archive(folder / "home") as archive:
        return folder, place(small(), threads=1, archive=archive, output=folder / "a.pl")


def test_what_is_written_is_what_was_said(placed: tuple[Path, Placed]) -> None:
    folder, found = placed
    again = load_placement(folder / "a.pl", bookshelf.read(folder / "small.aux"))
    assert hpwl(small(), again) == pytest.approx(found.report["hpwl"])
    assert (folder / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_outputs_that_cannot_be_are_refused_before_the_work(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, said in (
        (tmp_path / "out.def", "is written as .pl, .aux"),
        (tmp_path / "out", "is written as .pl"),
        (tmp_path / "file" / "out.pl", "cannot be written"),
        (Path("/proc/out.pl"), "cannot be written"),
    ):
        with pytest.raises(KerfError, match=said):
            place(small(), archive=archive, output=path)
    assert archive.runs() == []


def run(*words: str) -> Any:
    return CliRunner().invoke(build(), [*words])


def test_the_command_places_scores_draws_and_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    bookshelf.write(tmp_path / "small.aux", small(), small().initial)
    said = run(
        "place", "small.aux", "--threads", "1", "--constraint", "edge m0 left", "-o", "out.pl.gz", "--json"
    )
    assert said.exit_code == 0, said.output
    result = json.loads(said.stdout)
    assert result["legal"] and result["output"].endswith("out.pl.gz") and Path(result["picture"]).exists()
    scored = json.loads(
        run("score", "small.aux", "out.pl.gz", "--constraint", "edge m1 left", "--json").stdout
    )
    assert scored["hpwl"] == pytest.approx(result["hpwl"])
    assert scored["violations"][0]["rule"] == "edge m1 left" or scored["violations"] == []
    for name in ("way.gif", "way.svg"):
        moved = run("draw", "small.aux", "--animate", "last", "-o", name)
        assert moved.exit_code == 0 and (tmp_path / name).stat().st_size > 500, moved.output
    compared = run("diff", "small.aux", "out.pl.gz", "out.pl.gz", "-o", "diff.svg")
    assert "0 of 70 cells moved" in compared.output and (tmp_path / "diff.svg").exists()
    assert "HPWL" in run("runs").output and "heuristic" in run("show", "last").output
    resumed = run("resume", "last", "--json")
    assert json.loads(resumed.stdout)["hpwl"] == pytest.approx(result["hpwl"])
    assert run("place", "small.aux", "-o", "small.aux").exit_code == 2
    assert run("place").exit_code == 2


def test_diff_says_what_moved_and_what_it_did(placed: tuple[Path, Placed]) -> None:
    _, found = placed
    other = found.placement.copy()
    cell = int(np.flatnonzero(found.placement.x[:2] < 40)[0]) if (found.placement.x[:2] < 40).any() else 0
    other.x[cell] += 5
    said = diff(small(), found.placement, other)
    assert (
        said["moved"] == 1 and said["movers"][0]["cell"] == f"m{cell}" and said["movers"][0]["distance"] == 5
    )
    assert said["metrics"]["hpwl"] == [hpwl(small(), found.placement), hpwl(small(), other)]
    assert said["nets_longer"] + said["nets_shorter"] > 0


def test_the_example_is_what_its_generator_makes() -> None:
    shipped = bookshelf.read(kerf_example())
    made = mesh()
    assert shipped.cell_names == made.cell_names and (shipped.pin_cell == made.pin_cell).all()
    assert (shipped.width == made.width).all() and shipped.die == made.die
    assert (np.bincount(made.pin_cell, minlength=made.cells) > 0).all(), "every cell is wired"


def kerf_example() -> Path:
    from kerf.placement.examples import path

    return path()


def test_place_is_there_from_kerf_itself(archive: Archive) -> None:
    assert kerf.place(small(macros=0, cells=5, nets=4), threads=1, archive=archive).legal


def test_a_disk_that_fills_up_under_the_output_loses_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("kerf.placement.output.save_placement", full)
        with pytest.raises(KerfError, match="Nothing is lost: make room, then `kerf resume"):
            place(small(), threads=1, archive=archive, output=tmp_path / "a.pl")
    run = archive.runs()[0].id
    monkeypatch.setattr("kerf.placement.output.save_picture", full)
    found = place(small(), threads=1, archive=archive, output=tmp_path / "a.pl", resume=run)
    assert found.legal and (tmp_path / "a.pl").exists() and not list(tmp_path.glob("*.png"))
    assert "a.png could not be written" in found.report["notes"][0]


def test_an_export_is_a_placement_that_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: Archive
) -> None:
    from kerf.placement.examples import path
    from kerf.runs import export

    monkeypatch.setenv("KERF_HOME", str(archive.folder))
    request = Request(design=str(path()), threads=1, output=str(tmp_path / "mine.pl"))
    placed = place_files(request, lambda _: None, archive=archive)
    found = export(placed.report["run"], out=str(tmp_path / "out"))
    chip = load(path())
    again = load_placement(Path(found["path"]), chip)
    assert hpwl(chip, again) == pytest.approx(hpwl(chip, placed.placement)) and check(chip, again).legal
    assert {p.name for p in Path(found["path"]).parent.iterdir()} >= {"recipe.json", "request.json"}
    with pytest.raises(KerfError, match="--custom-op is for kernels"):
        export(placed.report["run"], out=str(tmp_path / "other"), custom_op="my::op")
