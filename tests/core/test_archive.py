"""The archive keeps what it is given, says clearly what is wrong, and can be made small."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from toys import Landscape, ToyEvaluator, ToyProblem

from kerf import loop
from kerf.archive import Archive, export_run, import_run, prune
from kerf.archive.schema import MIGRATIONS
from kerf.core.records import RunState, Trial
from kerf.core.types import Budget, Candidate, Evaluation, KerfError, Metric, Status
from kerf.proposers import make

PASSED = Evaluation(
    Status.PASSED,
    score=2.0,
    metrics={"time_s": Metric(1e-3, "s", 9e-4, 2e-3)},
    detail={"seed": 4},
    environment={"cpu": "x"},
)


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "home") as found:
        yield found


def begin(archive, name="toy", **options):
    return archive.begin(ToyProblem(name), "key", "random", 1, Budget(5, 60.0), options)


def trial(text="int main;", **more):
    return Trial(Candidate({"k.c": text}, "parent", "random", {"point": {"a": 1}}), PASSED, 0, 4, 1.5, **more)


def searched(archive, size=1.0, evaluations=10):
    evaluator = ToyEvaluator(Landscape(size))
    proposer = make("random", evaluator.landscape.space, None, 0)
    return loop.run(ToyProblem(f"size-{size}"), proposer, evaluator, archive, Budget(evaluations)).run


def test_what_goes_in_comes_out(archive):
    run = begin(archive, path="gelu.py")
    archive.record(run, "key", trial())
    archive.record_confirmation(run, "key", trial().candidate.id, PASSED)
    archive.event(run, "phase", {"name": "confirm"}, 2.0)
    archive.add_note(run, "slow day")
    archive.finish(run, RunState.DONE, 3.0, trial().candidate.id)
    record = archive.run(run[:-2])
    assert (record.budget, record.options, record.state) == (
        Budget(5, 60.0),
        {"path": "gelu.py"},
        RunState.DONE,
    )
    assert archive.trials(run) == [trial()] and archive.confirmations(run) == {trial().candidate.id: PASSED}
    assert (
        archive.lookup(trial().candidate.id, "key") == PASSED
        and archive.lookup(trial().candidate.id, "other") is None
    )
    assert archive.candidate(trial().candidate.id[:8]) == trial().candidate
    assert archive.events(run) == [(2.0, "phase", {"name": "confirm"})] and archive.notes(run) == ["slow day"]


def test_numpy_and_odd_text_in_a_detail_are_kept(archive):
    import numpy as np

    evaluation = Evaluation(
        Status.WRONG, "\ud800 \0 </script>", detail={"at": np.arange(3), "worst": np.float32(0.5)}
    )
    run = begin(archive)
    archive.record(run, "key", Trial(Candidate({"é \U0001f600.c": "\0\r\n\ud800"}), evaluation, 0, 1, 0.0))
    kept = archive.trials(run)[0]
    assert kept.candidate.files == {"é \U0001f600.c": "\0\r\n\ud800"} and kept.evaluation.detail == {
        "at": [0, 1, 2],
        "worst": 0.5,
    }


def test_an_answer_in_time_is_found_before_one_that_ran_out(archive):
    run, late = begin(archive), Evaluation(Status.TIMED_OUT, "10 s were not enough")
    archive.record(run, "key", Trial(Candidate({"a.sv": "late"}), late, 0, 1, 0.0))
    found = archive.trials(run)[0].candidate
    assert archive.lookup(found.id, "key") == late
    archive.record(begin(archive), "key", Trial(found, PASSED, 0, 1, 0.0))
    assert archive.lookup(found.id, "key") == PASSED


def test_unknown_and_ambiguous_runs_are_clear_errors(archive):
    begin(archive)
    begin(archive)
    assert archive.run("last").id == archive.runs()[0].id
    for name, message in (
        ("nosuch", "kerf runs"),
        ("", "no run"),
        (archive.runs()[0].id[:4], "more than one"),
    ):
        with pytest.raises(KerfError, match=message):
            archive.run(name)


def test_baselines_are_cached_and_age(archive):
    assert archive.baseline("eager/1") is None
    archive.save_baseline("eager/1", {"time_s": 0.25})
    assert (
        archive.baseline("eager/1") == {"time_s": 0.25}
        and archive.baseline("eager/1", max_age_s=-1.0) is None
    )


def test_a_memory_stands_still_while_the_archive_grows(archive):
    searched(archive, 0.5)
    before = archive.memory()
    run = searched(archive, 1.5)
    assert {r.vector for r in before.nearest("toy", [1.0], 9)} == {(0.5,)}
    assert {r.vector for r in archive.memory(run).nearest("toy", [1.0], 9)} == {(0.5,)}
    assert [r.vector for r in archive.nearest("toy", [1.4], 2, per_problem=1)] == [(1.5,), (0.5,)]
    assert archive.nearest("other", [1.0], 9) == [] and archive.nearest("toy", [1.0, 2.0], 9) == []


def test_nearest_gives_the_best_points_first_and_failures_on_request(archive):
    run = searched(archive, 1.0, 60)
    scores = [t.evaluation.score for t in archive.trials(run)]
    best = archive.nearest("toy", [1.0], 1, per_problem=5)
    assert [r.score for r in best] == sorted((s for s in scores if s is not None), reverse=True)[:5]
    assert len(archive.nearest("toy", [1.0], 1, per_problem=100, passed_only=False)) == 60 and None in scores


def test_prune_keeps_the_newest_and_what_they_need(archive):
    runs = [searched(archive, size) for size in (0.5, 1.0, 1.5, 1.0)]
    assert set(prune(archive, keep_runs=2).runs) == set(runs[:2])
    assert [r.id for r in archive.runs()] == runs[:1:-1] and len(archive.trials(runs[3])) >= 10
    assert prune(archive, older_than_s=3600).runs == ()
    assert set(prune(archive, older_than_s=-1).runs) == set(runs[2:])
    for table in ("trials", "evaluations", "candidates", "environments", "problems", "signatures"):
        assert archive.db.rows(f"SELECT count(*) FROM {table}") == [(0,)], table


def test_prune_to_a_size_frees_the_disk(archive):
    for size in (0.5, 1.0, 1.5):
        run = begin(archive, f"size-{size}")
        for i in range(20):
            archive.record(
                run, "key", Trial(Candidate({"k.c": f"{size}{list(range(i, 4000 + i))}"}), PASSED, 0, 1, 0.0)
            )
        archive.finish(run, RunState.DONE, 1.0, None)
    pruned = prune(archive, max_bytes=400_000)
    assert 0 < len(pruned.runs) < 3 and pruned.freed_bytes > 100_000
    assert (archive.folder / "archive.sqlite").stat().st_size <= 400_000


def test_prune_leaves_a_run_that_is_going_on(archive):
    run = begin(archive)
    kept = archive.folder / "runs" / run / "best.npz"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with Archive(archive.folder) as other:
        assert prune(other, keep_runs=0).runs == ()
    assert archive.run(run).id == run and kept.exists()


def test_prune_takes_what_runs_keep_in_their_folders(archive):
    old, new = searched(archive), searched(archive, 1.0)
    folders = [archive.folder / "runs" / name for name in (old, new, "251231-235959-beef", "notes of mine")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "frame.npz").write_bytes(bytes(300_000))
    pruned = prune(archive, keep_runs=1)
    assert pruned.runs == (old,) and pruned.freed_bytes >= 600_000
    assert [folder.exists() for folder in folders] == [False, True, False, True], "and of runs that are gone"
    assert prune(archive, max_bytes=250_000).runs == (new,), "a folder counts"


def test_export_and_import_give_the_same_run(archive, tmp_path):
    run = searched(archive)
    archive.add_note(run, "keep")
    folder = export_run(archive, run, tmp_path / "export")
    with Archive(tmp_path / "elsewhere") as other:
        copy = import_run(other, folder)
        assert other.trials(copy) == archive.trials(run) and other.confirmations(
            copy
        ) == archive.confirmations(run)
        assert other.run(copy).best == archive.run(run).best and other.notes(copy) == ["keep"]
    best = archive.candidate(archive.run(run).best or "")
    assert (folder / "candidates" / best.id / "point.json").read_text() == best.files["point.json"]
    with pytest.raises(KerfError, match="already holds"):
        export_run(archive, run, folder)


def test_import_refuses_changed_files_and_paths_outside(archive, tmp_path):
    folder = export_run(archive, searched(archive), tmp_path / "export")
    body = json.loads((folder / "run.json").read_text())
    victim = folder / "candidates" / body["trials"][0]["candidate"] / "point.json"
    original = victim.read_text()
    victim.write_text("{}")
    with pytest.raises(KerfError, match="not those that were evaluated"):
        import_run(archive, folder)
    victim.write_text(original)
    body["trials"][0]["files"] = ["../../secret"]
    (folder / "run.json").write_text(json.dumps(body))
    with pytest.raises(KerfError, match="outside"):
        import_run(archive, folder)
    with pytest.raises(KerfError, match="not an exported run"):
        import_run(archive, tmp_path / "nothing")


def test_export_refuses_to_write_outside(archive, tmp_path):
    run = begin(archive)
    archive.record(run, "key", Trial(Candidate({"../../evil.c": "x"}), PASSED, 0, 1, 0.0))
    with pytest.raises(KerfError, match="outside"):
        export_run(archive, run, tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("evil.c"))


def test_an_archive_of_the_first_format_is_brought_up(tmp_path):
    tmp_path.joinpath("archive.sqlite").touch()
    connection = sqlite3.connect(tmp_path / "archive.sqlite")
    connection.executescript(MIGRATIONS[0] + "PRAGMA user_version=1;")
    connection.close()
    with Archive(tmp_path) as archive:
        assert archive.runs() == [] and archive.db.rows("PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_a_newer_or_damaged_file_is_a_clear_error(tmp_path):
    with Archive(tmp_path / "newer") as archive:
        archive.db.execute("PRAGMA user_version=99")
    with pytest.raises(KerfError, match="newer kerf"):
        Archive(tmp_path / "newer")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "archive.sqlite").write_text("not sqlite at all, " * 100)
    with pytest.raises(KerfError, match="Move it away"):
        Archive(tmp_path / "damaged")


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(KerfError, match="KERF_HOME"):
        Archive(tmp_path / "file" / "home")
    with Archive(tmp_path / "home") as archive:
        archive.db.execute("PRAGMA query_only=ON")
        with pytest.raises(KerfError, match="writable"):
            begin(archive)


FILL = """
import sys, resource
sys.path.insert(0, sys.argv[1])
from kerf.archive import Archive
from test_archive import begin, trial
from kerf.core.types import KerfError
archive = Archive(sys.argv[2])
run = begin(archive)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
recorded = 0
try:
    while recorded < 10_000:
        archive.record(run, "key", trial(str(recorded)))
        recorded += 1
except KerfError as error:
    print(recorded, run, error)
"""


def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path):
    script = [sys.executable, "-c", FILL, str(Path(__file__).parent), str(tmp_path)]
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    recorded, run, message = said.split(" ", 2)
    assert "Free space" in message and int(recorded) > 2
    with Archive(tmp_path) as archive:
        assert len(archive.trials(run)) == int(recorded)
        archive.record(run, "key", trial("after space was freed"))


def test_threads_may_share_an_archive(archive):
    run = begin(archive)

    def work(k):
        for i in range(25):
            archive.record(run, "key", trial(f"{k}/{i}"))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(archive.trials(run)) == 100


def test_thousands_of_evaluations_are_quick(archive):
    run, began = begin(archive), time.process_time()
    for i in range(2000):
        archive.record(run, "key", trial(str(i)))
        archive.lookup(trial(str(i)).candidate.id, "key")
    assert len(archive.trials(run)) == 2000
    assert time.process_time() - began < 5.0


def test_kerf_home_moves_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KERF_HOME", str(tmp_path / "moved"))
    with Archive() as archive:
        assert archive.folder == tmp_path / "moved" and (tmp_path / "moved" / "archive.sqlite").exists()
