"""Every problem, run, candidate and evaluation ever, in one SQLite file."""

from kerf.archive.prune import Pruned, prune
from kerf.archive.store import Archive, default_folder
from kerf.archive.transfer import export_run, import_run

__all__ = ["Archive", "Pruned", "default_folder", "export_run", "import_run", "prune"]
