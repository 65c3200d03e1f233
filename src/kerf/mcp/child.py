"""One verb in a process of its own: what runs behind a tool call.

The server starts `python -m kerf.mcp.child`, writes one line of JSON ({"verb", "arguments"}) to its standard input, and reads lines of JSON
from its standard output: any number of {"message", "share"?}, then one {"result", "text", "failed"} or {"error"}. A process of its own is what
makes cancelling real: SIGINT ends a search as Ctrl-C does, with what was measured kept. The end of standard input means that the server is
gone, and has the same effect. What a verb prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from typing import IO, Any

from kerf.core.records import Moment, Progress
from kerf.core.types import KerfError

EVERY_S = 0.25


class Telling:
    """Give it to a verb as `watch`. Lines that make way for the next are told every EVERY_S seconds at most."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self._told_s = float("-inf")

    def __call__(self, event: Progress | Moment | str) -> None:
        from kerf.report.terminal import line, printable, spent

        passing = isinstance(event, Moment) and event.passing
        if passing and time.monotonic() - self._told_s < EVERY_S:
            return
        self._told_s = time.monotonic()
        if isinstance(event, Progress):
            self.tell({"message": line(event), "share": spent(event)})
        else:
            self.tell({"message": printable(event.text if isinstance(event, Moment) else event)})

    def tell(self, message: dict[str, Any]) -> None:
        """One line. Half characters, which a candidate's output may hold, cannot travel and are replaced."""
        from kerf.archive.database import plain

        line = json.dumps(message, default=plain, ensure_ascii=False).encode("utf-8", "replace").decode()
        self.stream.write(line + "\n")
        self.stream.flush()


def answer(name: str, arguments: dict[str, Any], telling: Telling) -> dict[str, Any]:
    """The verb's last message. A bug in a verb is told as an error too, its traceback on standard error."""
    from kerf.verbs import all_verbs

    verb = all_verbs()[name]
    watch = {"watch": telling} if verb.watched else {}
    try:
        result = verb.call(**arguments, **watch)
        return {"result": result, "text": verb.render(result), "failed": verb.failed(result)}
    except KerfError as error:
        return {"error": str(error)}
    except KeyboardInterrupt as stop:
        return {"error": str(stop) or "interrupted"}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"kerf failed, which is a bug in kerf: {type(error).__name__}: {error}"}


def main() -> None:
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a server in the background ignores it, and so would its children
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = json.loads(sys.stdin.readline(), parse_float=_number)
    threading.Thread(target=_stop_with_the_server, daemon=True).start()
    telling = Telling(told)
    telling.tell(answer(asked["verb"], asked["arguments"], telling))


def _number(text: str) -> float:
    """JSON has one kind of number: 2.0 is a count too."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _stop_with_the_server() -> None:
    while os.read(0, 1 << 10):  # not through sys.stdin, whose lock would be held when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
