"""The archive: every problem, run, candidate and evaluation ever, in one SQLite file."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from kerf.archive.database import Database, pack, unpack
from kerf.archive.holding import Holding
from kerf.archive.memory import ArchiveMemory
from kerf.core.records import Remembered, RunRecord, RunState, Trial
from kerf.core.types import Budget, Candidate, Evaluation, KerfError, Metric, Problem, Status, content_hash

RUN_COLUMNS = (
    "r.id, r.problem, p.name, p.description, r.evaluator_key, r.proposer, r.seed, r.budget, r.options, r.state, r.created, "
    "r.updated, r.seconds, r.best"
)
RUN_FIELDS = tuple(f.name for f in fields(RunRecord))
EVALUATION_COLUMNS = "e.status, e.reason, e.score, e.body, v.body, e.seconds"


def default_folder() -> Path:
    """KERF_HOME, else the user's data folder."""
    if home := os.environ.get("KERF_HOME"):
        return Path(home).expanduser()
    from platformdirs import user_data_path

    return user_data_path("kerf")


class Archive:
    """Several processes may share one. Each `record` is one transaction: a kill loses at most what was not yet recorded.
    Every method raises KerfError, with what to do, when the disk is full, read-only or the file damaged."""

    def __init__(self, folder: Path | str | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()
        self.db = Database(self.folder / "archive.sqlite")
        self._holding = Holding(self.folder.resolve() / "locks")
        self._mine: set[str] = set()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for run in tuple(self._mine):
            self._release(run)
        self.db.close()

    # Runs

    def begin(
        self,
        problem: Problem,
        evaluator_key: str,
        proposer: str,
        seed: int,
        budget: Budget,
        options: Mapping[str, Any],
    ) -> str:
        run, now = time.strftime("%y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(2), time.time()
        self._hold(run)
        with self.db.transaction():
            self.db.execute(
                "INSERT INTO problems VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET description = excluded.description",
                (problem.key, problem.name, problem.describe()),
            )
            self.db.execute(
                "INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,0,NULL,(SELECT coalesce(max(id), 0) FROM trials))",
                (
                    run,
                    problem.key,
                    evaluator_key,
                    proposer,
                    seed,
                    json.dumps(asdict(budget)),
                    json.dumps(dict(options), default=str),
                )
                + (RunState.RUNNING, now, now),
            )
        return run

    def reopen(self, run: str, budget: Budget, options: Mapping[str, Any] | None = None) -> RunRecord:
        record = self.run(run)
        self._hold(record.id)
        with self.db.transaction():
            self.db.execute(
                "UPDATE runs SET state = ?, budget = ?, options = ?, updated = ? WHERE id = ?",
                (
                    RunState.RUNNING,
                    json.dumps(asdict(budget)),
                    json.dumps(dict(record.options if options is None else options), default=str),
                    time.time(),
                    record.id,
                ),
            )
        return self.run(run)

    def run(self, run: str) -> RunRecord:
        """By id, or by a beginning of one that no other run shares; "last" is the newest."""
        if run == "last":
            found = self.runs(limit=1)
        else:
            found = self._runs("WHERE substr(r.id, 1, ?) = ? ORDER BY r.id LIMIT 2", (len(run), run))
        if not found or not run:
            raise KerfError(f"no run {run!r} in {self.folder}. `kerf runs` lists them.")
        if len(found) > 1 and found[0].id != run:
            raise KerfError(
                f"more than one run begins with {run!r}. Give more of its name; `kerf runs` lists them."
            )
        return found[0]

    def winner(self, run: str) -> Candidate:
        """The best candidate of a run. KerfError where it has none."""
        record = self.run(run)
        if record.best is None:
            raise KerfError(
                f"run {record.id} has no winner to export: kerf show {record.id} says what became of its candidates"
            )
        return self.candidate(record.best)

    def runs(self, limit: int = 1000) -> list[RunRecord]:
        """Newest first."""
        return self._runs("ORDER BY r.created DESC, r.id DESC LIMIT ?", (limit,))

    def _runs(self, clause: str, values: Sequence[Any]) -> list[RunRecord]:
        rows = self.db.rows(
            f"SELECT {RUN_COLUMNS} FROM runs r JOIN problems p ON p.key = r.problem {clause}", values
        )
        return [_run(row) for row in rows]

    def finish(self, run: str, state: RunState, seconds: float, best: str | None) -> None:
        with self.db.transaction():
            self.db.execute(
                "UPDATE runs SET state = ?, seconds = ?, best = ?, updated = ? WHERE id = ?",
                (state, seconds, best, time.time(), run),
            )
        self._release(run)

    def is_held(self, run: str) -> bool:
        """Whether a living process is working on it."""
        with self.db.translated():
            return self._holding.is_held(run)

    def _hold(self, run: str) -> None:
        with self.db.translated():
            self._holding.hold(run)
        self._mine.add(run)

    def _release(self, run: str) -> None:
        self._holding.release(run)
        self._mine.discard(run)

    # Trials

    def record(self, run: str, key: str, trial: Trial) -> None:
        with self.db.transaction():
            known = self._evaluation_id(trial.candidate.id, key) if trial.reused else None
            evaluation = known or self._insert_evaluation(trial.candidate, key, trial.evaluation)
            self._insert_trial(run, trial, evaluation)
            self.db.execute(
                "UPDATE runs SET seconds = ?, updated = ? WHERE id = ?", (trial.at_s, time.time(), run)
            )

    def _insert_trial(self, run: str, trial: Trial, evaluation: int) -> None:
        candidate, signature = trial.candidate, trial.candidate.notes.get("signature")
        problem = self.db.rows("SELECT problem FROM runs WHERE id = ?", (run,))[0][0]
        kind = signature["kind"] if signature else None
        if signature:
            self.db.execute(
                "INSERT OR REPLACE INTO signatures VALUES (?, ?, ?)",
                (problem, kind, json.dumps(list(signature["vector"]))),
            )
        self.db.execute(
            "INSERT INTO trials VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                run,
                problem,
                kind,
                candidate.id,
                candidate.parent,
                candidate.proposer,
                pack(candidate.notes),
                evaluation,
            )
            + (trial.evaluation.score, trial.round, trial.asked, trial.at_s, int(trial.reused)),
        )

    def _insert_evaluation(self, candidate: Candidate, key: str, evaluation: Evaluation) -> int:
        self.db.execute(
            "INSERT OR IGNORE INTO candidates VALUES (?, ?)", (candidate.id, pack(dict(candidate.files)))
        )
        environment = content_hash(dict(evaluation.environment))
        self.db.execute(
            "INSERT OR IGNORE INTO environments VALUES (?, ?)",
            (environment, pack(dict(evaluation.environment))),
        )
        body = {
            "metrics": {k: asdict(m) for k, m in evaluation.metrics.items()},
            "detail": dict(evaluation.detail),
        }
        cursor = self.db.execute(
            "INSERT INTO evaluations VALUES (NULL,?,?,?,?,?,?,?,?,?)",
            (
                candidate.id,
                key,
                evaluation.status,
                evaluation.reason,
                evaluation.score,
                evaluation.seconds,
            )
            + (pack(body), environment, time.time()),
        )
        return int(cursor.lastrowid or 0)

    def _evaluation_id(self, candidate: str, key: str) -> int | None:
        rows = self.db.rows(
            "SELECT id FROM evaluations WHERE candidate = ? AND key = ? ORDER BY status = 'timed_out', id LIMIT 1",
            (candidate, key),
        )
        return rows[0][0] if rows else None

    def trials(self, run: str) -> list[Trial]:
        """In the order they were told."""
        rows = self.db.rows(
            f"SELECT c.files, t.parent, t.proposer, t.notes, t.round, t.asked, t.at_s, t.reused, {EVALUATION_COLUMNS} FROM trials t "
            "JOIN candidates c ON c.id = t.candidate JOIN evaluations e ON e.id = t.evaluation "
            "JOIN environments v ON v.id = e.environment WHERE t.run = ? ORDER BY t.id",
            (run,),
        )
        return [_trial(row) for row in rows]

    def lookup(self, candidate: str, key: str) -> Evaluation | None:
        """The first evaluation of that candidate under that key; one that ended in time before one that did not."""
        rows = self.db.rows(
            f"SELECT {EVALUATION_COLUMNS} FROM evaluations e JOIN environments v ON v.id = e.environment "
            "WHERE e.candidate = ? AND e.key = ? ORDER BY e.status = 'timed_out', e.id LIMIT 1",
            (candidate, key),
        )
        return _evaluation(rows[0]) if rows else None

    def candidate(self, candidate: str) -> Candidate:
        """By id or an unambiguous beginning; parent, proposer and notes as it was last told."""
        rows = self.db.rows(
            "SELECT c.files, t.parent, t.proposer, t.notes FROM candidates c LEFT JOIN trials t ON t.candidate = c.id "
            "WHERE substr(c.id, 1, ?) = ? ORDER BY t.id DESC LIMIT 1",
            (len(candidate), candidate),
        )
        if not rows or not candidate:
            raise KerfError(
                f"no candidate {candidate!r} in {self.folder}. `kerf show RUN` lists a run's candidates."
            )
        files, parent, proposer, notes = rows[0]
        return Candidate(unpack(files), parent, proposer or "", unpack(notes) if notes else {})

    def record_confirmation(self, run: str, key: str, candidate: str, evaluation: Evaluation) -> None:
        with self.db.transaction():
            number = self._insert_evaluation(self.candidate(candidate), f"{key}/confirm", evaluation)
            self.db.execute("INSERT OR REPLACE INTO confirmations VALUES (?, ?, ?)", (run, candidate, number))

    def confirmations(self, run: str) -> dict[str, Evaluation]:
        rows = self.db.rows(
            f"SELECT f.candidate, {EVALUATION_COLUMNS} FROM confirmations f JOIN evaluations e ON e.id = f.evaluation "
            "JOIN environments v ON v.id = e.environment WHERE f.run = ?",
            (run,),
        )
        return {row[0]: _evaluation(row[1:]) for row in rows}

    # Memory, baselines, events, notes

    def leading(self, problem: str, most: int) -> list[tuple[str, str, Candidate, Evaluation]]:
        """(problem's name, run, candidate, evaluation) of the best that passed, over all runs of problems whose name holds `problem`,
        each candidate once."""
        rows = self.db.rows(
            f"SELECT p.name, t.run, t.candidate, max(t.score), {EVALUATION_COLUMNS} FROM trials t JOIN problems p ON p.key = t.problem "
            "JOIN evaluations e ON e.id = t.evaluation JOIN environments v ON v.id = e.environment "
            "WHERE instr(lower(p.name), lower(?)) AND t.score IS NOT NULL GROUP BY t.problem, t.candidate ORDER BY t.score DESC LIMIT ?",
            (problem, most),
        )
        return [(row[0], row[1], self.candidate(row[2]), _evaluation(row[4:])) for row in rows]

    def memory(self, run: str | None = None) -> ArchiveMemory:
        """What proposers learn from: everything recorded so far, or what was there when `run` began (so that a resumed run
        sees what it saw)."""
        if run is None:
            rows = self.db.rows("SELECT coalesce(max(id), 0) FROM trials")
        else:
            rows = self.db.rows("SELECT horizon FROM runs WHERE id = ?", (self.run(run).id,))
        return ArchiveMemory(self.db, int(rows[0][0]))

    def nearest(
        self, kind: str, vector: Sequence[float], k: int, *, per_problem: int = 8, passed_only: bool = True
    ) -> list[Remembered]:
        """`ArchiveMemory.nearest` over everything recorded so far."""
        return self.memory().nearest(kind, vector, k, per_problem=per_problem, passed_only=passed_only)

    def baseline(self, key: str, max_age_s: float = float("inf")) -> Any | None:
        """What was saved under `key`, if not older than `max_age_s`."""
        rows = self.db.rows("SELECT value, created FROM baselines WHERE key = ?", (key,))
        return unpack(rows[0][0]) if rows and time.time() - rows[0][1] <= max_age_s else None

    def save_baseline(self, key: str, value: Any) -> None:
        """`value` is plain JSON; `key` names everything that could change it."""
        self.db.execute("INSERT OR REPLACE INTO baselines VALUES (?, ?, ?)", (key, pack(value), time.time()))

    def event(self, run: str, kind: str, body: Mapping[str, Any], at_s: float = 0.0) -> None:
        self.db.execute(
            "INSERT INTO events VALUES (NULL, ?, ?, ?, ?)",
            (run, at_s, kind, json.dumps(dict(body), default=str)),
        )

    def events(self, run: str) -> list[tuple[float, str, dict[str, Any]]]:
        """(search time in seconds, kind, body), in order."""
        rows = self.db.rows("SELECT at_s, kind, body FROM events WHERE run = ? ORDER BY id", (run,))
        return [(at_s, kind, json.loads(body)) for at_s, kind, body in rows]

    def record_turn(self, run: str, agent: int, turn: int, body: Mapping[str, Any]) -> None:
        """One answer of a language model in a run, with what it was sent; plain JSON, and no key in it."""
        self.db.execute(
            "INSERT OR REPLACE INTO turns VALUES (NULL, ?, ?, ?, ?, ?)",
            (run, agent, turn, pack(dict(body)), time.time()),
        )

    def turns(self, run: str) -> list[tuple[int, int, dict[str, Any]]]:
        """(agent, turn, body) of every recorded turn, in the order they were made."""
        rows = self.db.rows("SELECT agent, turn, body FROM turns WHERE run = ? ORDER BY id", (run,))
        return [(agent, turn, unpack(body)) for agent, turn, body in rows]

    def add_note(self, subject: str, text: str) -> None:
        """`subject` is the id of a run, candidate or problem."""
        self.db.execute("INSERT INTO notes VALUES (NULL, ?, ?, ?)", (subject, text, time.time()))

    def notes(self, subject: str) -> list[str]:
        return [
            row[0] for row in self.db.rows("SELECT text FROM notes WHERE subject = ? ORDER BY id", (subject,))
        ]


def _run(row: tuple[Any, ...]) -> RunRecord:
    values = dict(zip(RUN_FIELDS, row))
    values["budget"] = Budget(**json.loads(values["budget"]))
    values["options"] = json.loads(values["options"])
    values["state"] = RunState(values["state"])
    return RunRecord(**values)


def _evaluation(row: tuple[Any, ...]) -> Evaluation:
    status, reason, score, body, environment, seconds = row
    content = unpack(body)
    metrics = {name: Metric(**m) for name, m in content["metrics"].items()}
    return Evaluation(Status(status), reason, score, metrics, content["detail"], unpack(environment), seconds)


def _trial(row: tuple[Any, ...]) -> Trial:
    files, parent, proposer, notes, number, asked, at_s, reused = row[:8]
    candidate = Candidate(unpack(files), parent, proposer, unpack(notes))
    return Trial(candidate, _evaluation(row[8:]), number, asked, at_s, bool(reused))
