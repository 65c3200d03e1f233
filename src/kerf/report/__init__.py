"""What people look at: `html(run_id, archive)`, `table(rows)`, `Progress` and `watcher`."""

from kerf.report.page import html
from kerf.report.terminal import Progress, table, watcher

__all__ = ["Progress", "html", "table", "watcher"]
