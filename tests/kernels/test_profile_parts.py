"""The parts of a profile: instructions and loops from objdump, port bounds and chains, remarks, strides, the simulated cache."""

from __future__ import annotations

import platform
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerf.kernels.profile import disassembly, ports, traffic
from kerf.kernels.profile.collect import Steps
from kerf.kernels.profile.disassembly import disassemble, read
from kerf.kernels.profile.vectorizer import Remark, remarks, within
from kerf.kernels.targets.cpu import Chip, native
from kerf.toolchain.compilers import compile_library

x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the tables are of x86-64")

DUMP = """
0000000000001130 <run>:
    1130:	test   %rdx,%rdx
    1133:	jle    1160 <run+0x30>
    1138:	vxorps %xmm0,%xmm0,%xmm0
    1140:	vmovups (%rdi,%rax,4),%zmm1
    1147:	vfmadd231ps 0x40(%rsi,%rax,4){1to16},%zmm1,%zmm0
    114f:	vmovaps %zmm0,0x8(%rsp)
    1157:	add    $0x10,%rax
    115b:	cmp    %rax,%rdx
    115e:	jne    1140 <run+0x10>
    1160:	ret
"""


def test_instructions_and_loops_are_read() -> None:
    code = read(DUMP)
    (loop,) = code.loops("run")
    load, multiply, spill, *_ = loop.body
    assert (loop.start, loop.end) == (0x1140, 0x115E)
    assert load.memory == disassembly.Memory("rdi", "rax", 4, 0, "(%rdi,%rax,4)") and load.width == 64
    assert multiply.memory is not None and multiply.memory.offset == 0x40 and multiply.width == 4
    assert spill.stores and not spill.loads and load.loads and not load.stores
    assert code.function_at(0x1157) == "run" and code.function_at(0x2000) == ""


def test_chain_passes_through_what_is_kept_and_stops_at_what_is_overwritten() -> None:
    (loop,) = read(DUMP).loops("run")
    found = ports.estimate(loop.body, ports.INTEL_OLD)
    assert found.chain == 4 and found.links == ("vfmadd231ps 0x40(%rsi,%rax,4){1to16}, %zmm1, %zmm0",)
    fresh = read(DUMP.replace("vfmadd231ps", "vmulps")).loops("run")[0]
    assert ports.estimate(fresh.body, ports.INTEL_OLD).chain == 1  # the counter alone


@x86
@pytest.mark.parametrize(
    ("text", "adds"),
    [
        ("float f(const float *x, long n) { float s = 0; for (long i = 0; i < n; i++) s += x[i]; return s; }", 1),
        ("float f(const float *x, long n) { float s = 0, t = 0; for (long i = 0; i < n; i += 2) { s += x[i]; t += x[i + 1]; } return s + t; }", 0.5),
    ],
)  # fmt: skip
def test_a_sum_in_order_waits_for_every_addition(text: str, adds: float) -> None:
    """Compiled for real: cycles of the chain an element, however far the compiler unrolled."""
    build = compile_library(text, ["-O2", "-fno-tree-vectorize"])
    assert build.library is not None
    code = disassemble(build.library)
    if code is None:
        pytest.skip("no objdump")
    loop = code.loops("f")[0]
    found = ports.estimate(loop.body, ports.INTEL_OLD)
    elements = sum(i.mnemonic.endswith("addss") for i in loop.body)
    assert found.chain == pytest.approx(adds * elements * ports.INTEL_OLD.add_latency)


def test_remarks_keep_the_reason_and_drop_what_says_nothing() -> None:
    report = """unit_to_build.c:7:16: missed:  couldn't vectorize loop
unit_to_build.c:8:11: missed:   not vectorized, possible dependence between data-refs *_4 and *_9
unit_to_build.c:8:11: missed:   not vectorized: no vectype for stmt: _5 = *_4;
unit_to_build.c:4:10: missed:   not vectorized: relevant stmt not supported: _6 = expf (_4);
unit_to_build.c:21:16: optimized: loop vectorized using 8 byte vectors
unit_to_build.c:22:1: optimized: basic block part vectorized using 8 byte vectors
"""
    found = remarks(report)
    assert within(found, 7, 8) == [
        Remark(8, False, "not vectorized, possible dependence between data-refs: an iteration may need what another one wrote")
    ]  # fmt: skip
    assert within(found, 3, 5) == [Remark(4, False, "not vectorized: no vector form of expf()")]
    assert within(found, 20, 23) == [Remark(21, True, "loop vectorized using 8 byte vectors")]


def test_clangs_remarks_are_read() -> None:
    said = "unit_to_build.c:3:5: remark: vectorized loop (vectorization width: 16, interleaved count: 4) [-Rpass=loop-vectorize]"
    assert remarks(said) == [
        Remark(3, True, "vectorized loop (vectorization width: 16, interleaved count: 4)")
    ]


def stepped(rows: list[tuple[int, int]]) -> Steps:
    """(address of the instruction, rdi) pairs as one window."""
    registers = np.zeros((len(rows), 16), np.uint64)
    registers[:, 8] = [rdi for _, rdi in rows]
    return Steps(np.array([a for a, _ in rows], np.int64), registers, (len(rows),))


LOAD = """
0000000000001000 <run>:
    1000:	vmovss (%rdi),%xmm0
    1004:	add    %rax,%rdi
    1008:	jne    1000 <run>
    100c:	ret
"""


@pytest.mark.parametrize(("stride", "used"), [(4, 64), (8, 32), (256, 4)])
def test_strides_trips_and_the_part_of_a_line_that_is_used(stride: int, used: int) -> None:
    """Five stays of 64 iterations, each in memory of its own."""
    rows = []
    for stay in range(5):
        for i in range(64):
            at = (1 << 20) * (stay + 1) + stride * i
            rows += [(0x1000, at), (0x1004, at), (0x1008, at + stride)]
        rows.append((0x100C, 0))
    steps, code = stepped(rows), read(LOAD)
    address = traffic.addresses(steps, code.functions["run"])
    missed = traffic.misses(steps, address, native())
    found = traffic.traffic(code.loops("run")[0], (0x1000, 0x100C), steps, address, missed)
    (access,) = found.accesses
    assert (access.stride, found.trips, access.count) == (stride, 64, 320)
    assert access.used == used
    assert access.first == pytest.approx(min(1, stride / 64))
    assert (traffic.sparsest(found.accesses) is not None) == (stride >= 64)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=300))
def test_simulated_cache_is_least_recently_used(lines: list[int]) -> None:
    """Against the definition: a line is in a level when fewer than `ways` others of its set came since."""
    chip = Chip("c", "x86_64", 512, 64 * 12 * 2, 64 * 16 * 4, 0, 1)
    steps = stepped([(0x1000, 64 * line) for line in lines])
    address = traffic.addresses(steps, read(LOAD).functions["run"])
    found = traffic.misses(steps, address, chip)
    small, large = ([OrderedDict() for _ in range(n)] for n in (2, 4))
    seen: set[int] = set()
    for line, missed in zip(lines, found):
        near = touched(small[line % 2], line, 12)
        far = near or touched(large[line % 4], line, 16)
        assert missed == (0 if near else 1 if far else 2 if line in seen else 3)
        seen.add(line)


def touched(level: OrderedDict[int, None], line: int, ways: int) -> bool:
    hit = line in level
    level.pop(line, None)
    level[line] = None
    if len(level) > ways:
        level.popitem(last=False)
    return hit


def test_objdump_of_a_file_that_is_no_library_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_text("no")
    assert disassemble(tmp_path / "x.so") is None
