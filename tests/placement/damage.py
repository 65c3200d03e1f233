"""Ways in which files come to harm, drawn from a random generator: what a parser's fuzz test does to small valid files."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable
from pathlib import Path

WORDS = re.compile(rb"[^\s(){};:,\"]+")
NUMBERS = re.compile(rb"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
ODD_NUMBERS = (
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"-1",
    b"0",
    b"1e308",
    b"99999999999999999999",
    b"1e-320",
    b"1_0",
    b"0x10",
    b"",
    b"--3",
    b"\xd9\xa3",
    b"1" * 5000,
)
ODD_BYTES = (
    b"\0",
    b"\xff\xfe",
    b"\x1f\x8b",
    b"\r",
    b"\x0c",
    b'"',
    b"\\",
    b"#",
    b"{",
    b"(",
    b";",
    b"\xc2\xa0",
    b"*/",
)


def truncated(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def binary(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.randrange(1, 200))


def spliced(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(ODD_BYTES) + data[at + rng.randrange(12) :]


def lines_doubled(rng: random.Random, data: bytes) -> bytes:
    """One line, or a stretch, said twice: names come twice, and counts no longer hold."""
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    stretch = lines[at : at + rng.randint(1, 6)]
    return b"".join(lines[:at] + stretch + lines[at:])


def lines_lost(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    return b"".join(lines[:at] + lines[at + rng.randint(1, 4) :])


def lines_moved(rng: random.Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def number_odd(rng: random.Random, data: bytes) -> bytes:
    found = list(NUMBERS.finditer(data))
    if not found:
        return data
    where = rng.choice(found)
    return data[: where.start()] + rng.choice(ODD_NUMBERS) + data[where.end() :]


def word_replaced(rng: random.Random, data: bytes) -> bytes:
    """By another word of the file, or lost: names become other names, keywords names."""
    found = list(WORDS.finditer(data))
    if not found:
        return data
    where, other = rng.choice(found), rng.choice(found)
    return data[: where.start()] + rng.choice([other[0], b""]) + data[where.end() :]


def packed_and_cut(rng: random.Random, data: bytes) -> bytes:
    packed = gzip.compress(data, mtime=0)
    return packed[: rng.randrange(1, len(packed))]


def packed_and_flipped(rng: random.Random, data: bytes) -> bytes:
    return flipped(rng, gzip.compress(data, mtime=0))


def emptied(rng: random.Random, data: bytes) -> bytes:
    return rng.choice([b"", b"\n", b"#\n", b" "])


HARM: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    *(truncated, flipped, binary, spliced, lines_doubled, lines_lost, lines_moved, number_odd, word_replaced),
    *(packed_and_cut, packed_and_flipped, emptied),
)


def harm(seed: int, files: list[Path]) -> str:
    """Damage one of the files in place, once or twice, or remove it; says what was done."""
    rng = random.Random(seed)
    path = rng.choice(files)
    if rng.random() < 0.03:
        path.unlink()
        return f"{path.name} removed"
    data, done = path.read_bytes(), []
    for _ in range(rng.choice([1, 1, 2, 3])):
        how = rng.choice(HARM)
        data = how(rng, data) if data.strip() else data
        done.append(how.__name__)
    path.write_bytes(data)
    return f"{path.name} {' and '.join(done)}"
