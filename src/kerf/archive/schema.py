"""The archive's tables, as an append-only list of migrations: never edit one, add another."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE problems (key TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL);
    CREATE TABLE signatures (
        problem TEXT NOT NULL, kind TEXT NOT NULL, vector TEXT NOT NULL, PRIMARY KEY (kind, problem)
    ) WITHOUT ROWID;
    CREATE TABLE runs (
        id TEXT PRIMARY KEY, problem TEXT NOT NULL REFERENCES problems(key), evaluator_key TEXT NOT NULL,
        proposer TEXT NOT NULL, seed INTEGER NOT NULL, budget TEXT NOT NULL, options TEXT NOT NULL, state TEXT NOT NULL,
        created REAL NOT NULL, updated REAL NOT NULL, seconds REAL NOT NULL, best TEXT,
        horizon INTEGER NOT NULL
    );
    CREATE TABLE candidates (id TEXT PRIMARY KEY, files BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE environments (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE evaluations (
        id INTEGER PRIMARY KEY, candidate TEXT NOT NULL REFERENCES candidates(id), key TEXT NOT NULL, status TEXT NOT NULL,
        reason TEXT NOT NULL, score REAL, seconds REAL NOT NULL, body BLOB NOT NULL,
        environment TEXT NOT NULL REFERENCES environments(id), created REAL NOT NULL
    );
    CREATE INDEX evaluations_by_key ON evaluations (candidate, key);
    CREATE TABLE trials (
        id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES runs(id), problem TEXT NOT NULL, kind TEXT,
        candidate TEXT NOT NULL, parent TEXT, proposer TEXT NOT NULL, notes BLOB NOT NULL,
        evaluation INTEGER NOT NULL REFERENCES evaluations(id), score REAL,
        round INTEGER NOT NULL, asked INTEGER NOT NULL, at_s REAL NOT NULL, reused INTEGER NOT NULL
    );
    CREATE INDEX trials_by_run ON trials (run, id);
    CREATE INDEX trials_by_kind ON trials (kind, problem, score);
    CREATE TABLE confirmations (
        run TEXT NOT NULL REFERENCES runs(id), candidate TEXT NOT NULL, evaluation INTEGER NOT NULL REFERENCES evaluations(id),
        PRIMARY KEY (run, candidate)
    ) WITHOUT ROWID;
    CREATE TABLE baselines (key TEXT PRIMARY KEY, value BLOB NOT NULL, created REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES runs(id), at_s REAL NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL
    );
    CREATE INDEX events_by_run ON events (run, id);
    CREATE TABLE notes (id INTEGER PRIMARY KEY, subject TEXT NOT NULL, text TEXT NOT NULL, created REAL NOT NULL);
    CREATE INDEX notes_by_subject ON notes (subject, id);
    """,
    """
    CREATE TABLE turns (
        id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES runs(id), agent INTEGER NOT NULL, turn INTEGER NOT NULL, body BLOB NOT NULL,
        created REAL NOT NULL, UNIQUE (run, agent, turn)
    );
    CREATE TABLE conversations (id TEXT PRIMARY KEY, title TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL);
    CREATE TABLE utterances (
        id INTEGER PRIMARY KEY, conversation TEXT NOT NULL REFERENCES conversations(id), body BLOB NOT NULL, created REAL NOT NULL
    );
    CREATE INDEX utterances_by_conversation ON utterances (conversation, id);
    """,
)
