"""Run a command or a worker under limits, whatever the domain.

`isolation()` says what this machine can do, `run_command` runs one command confined to a folder, `enter(policy)` confines the
calling process itself for good."""

from kerf.sandbox.command import Completed, run_command
from kerf.sandbox.isolation import Isolation, isolation
from kerf.sandbox.policy import SYSTEM, Policy, enter, python_folders

__all__ = [
    "SYSTEM",
    "Completed",
    "Isolation",
    "Policy",
    "enter",
    "isolation",
    "python_folders",
    "run_command",
]
