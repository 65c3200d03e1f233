"""A small design with a bug, for a first run."""

from pathlib import Path


def path() -> Path:
    return Path(__file__).with_name("fifo.sv")
