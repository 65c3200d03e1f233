"""Conversations that the archive keeps: what was said, planned and run, in order."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kerf.archive.database import Database, pack, unpack
from kerf.core.types import KerfError


@dataclass(frozen=True)
class ConversationRecord:
    """Times are seconds since 1970; `title`: what was said first."""

    id: str
    title: str
    created: float
    updated: float


class Conversations:
    """Of one archive. Bodies are plain JSON; what they hold is for whoever adds them."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def begin(self, title: str) -> str:
        """A new conversation's id."""
        name, now = time.strftime("c%y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(2), time.time()
        self.db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?)", (name, title[:200], now, now))
        return name

    def add(self, conversation: str, body: Mapping[str, Any]) -> None:
        with self.db.transaction():
            now = time.time()
            self.db.execute(
                "INSERT INTO utterances VALUES (NULL, ?, ?, ?)", (conversation, pack(dict(body)), now)
            )
            self.db.execute("UPDATE conversations SET updated = ? WHERE id = ?", (now, conversation))

    def read(self, conversation: str) -> list[dict[str, Any]]:
        """Its bodies, in order."""
        rows = self.db.rows("SELECT body FROM utterances WHERE conversation = ? ORDER BY id", (conversation,))
        return [unpack(row[0]) for row in rows]

    def recent(self, limit: int = 20) -> list[ConversationRecord]:
        """Those spoken in last, first."""
        rows = self.db.rows(
            "SELECT id, title, created, updated FROM conversations ORDER BY updated DESC, id DESC LIMIT ?",
            (limit,),
        )
        return [ConversationRecord(*row) for row in rows]

    def find(self, name: str) -> ConversationRecord:
        """By id, or a beginning of one that no other has; "last" is the one spoken in last. KerfError otherwise."""
        known = self.recent(10_000)
        found = known[:1] if name == "last" else [c for c in known if name and c.id.startswith(name)]
        if len(found) != 1:
            what = "more than one conversation begins" if found else "no conversation begins"
            raise KerfError(f"{what} with {name!r}: `kerf chat --list` lists them")
        return found[0]
