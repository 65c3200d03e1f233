"""Each way of being wrong ends with its own status and reason, and costs one evaluation only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import C_CODE, PYTHON, candidate, in_run
from kerf.core.types import Candidate, Status
from kerf.kernels.problem import load_text
from kerf.kernels.referee.build import build
from kerf.kernels.referee.candidate import Package, Unit
from kerf.kernels.referee.case import Case
from kerf.kernels.referee.evaluator import KernelEvaluator
from kerf.kernels.referee.floor import Floor

LIBC = "ctypes.CDLL(None)"


def test_an_honest_kernel_passes_with_everything_that_its_claim_needs(evaluator: KernelEvaluator) -> None:
    found = evaluator.evaluate(candidate())
    assert found.status is Status.PASSED, found.reason
    assert found.score == found.metrics["speedup.eager"].low and found.score > 0
    error = found.detail["error"]
    assert 0 < error["max"] <= error["tolerance"] and "float64" in error["source"]
    assert len(found.detail["samples_s"]["candidate"]) >= 5
    assert found.detail["isolation"]["seccomp"] and found.detail["isolation"]["landlock"]


def test_the_module_interface_and_the_reference_itself_pass(evaluator: KernelEvaluator) -> None:
    assert evaluator.evaluate(candidate(interface="module")).status is Status.PASSED
    plain = Candidate({"kernel.py": evaluator.problem.source + "\nModelNew = Model\n"})
    found = evaluator.evaluate(plain)
    assert found.status is Status.PASSED, found.reason
    low, high = found.metrics["speedup.eager"].low, found.metrics["speedup.eager"].high
    assert low is not None and high is not None and 0 < low <= high  # how near to 1 is a benchmark's business


LAST = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.silu(x)
def get_inputs(): return [torch.randn(4, 12, 9, 7).to(memory_format=torch.channels_last)]
def get_init_inputs(): return []
"""
WRITES = """
class ModelNew(torch.nn.Module):
    def run(self, x, out):
        assert out[0].is_contiguous({}), out[0].stride()
        torch.sigmoid(x, out=out[0]).mul_(x)
"""


def test_outputs_lie_in_memory_as_a_candidate_says() -> None:
    evaluator = KernelEvaluator(load_text(LAST, name="channels last"), baselines=("eager",), time_limit_s=3.0)
    head = {"format": 1, "entry": "kernel.py", "interface": "native"}
    last = "memory_format=torch.channels_last"
    try:
        for orders, how in (({}, ""), ({"orders": [[0, 2, 3, 1]]}, last)):
            files = {"kernel.py": LAST + WRITES.format(how), "manifest.json": json.dumps({**head, **orders})}
            found = evaluator.evaluate(Candidate(files))
            assert found.status is Status.PASSED, found.reason
        plain = Candidate({"kernel.py": LAST + "\nModelNew = Model\n"})
        assert evaluator.evaluate(plain).status is Status.PASSED
        case = Case(evaluator.problem, 1)
        assert case.orders == [(0, 2, 3, 1)]  # eager is not charged for a copy into another order
        case.close()
        for bad in ([[0, 2, 2, 1]], [["0"]], {"0": [1]}, [[0.5]], [[0, 1]], [[0, 2, 3, 1], [0]]):
            files = {
                "kernel.py": LAST + WRITES.format(""),
                "manifest.json": json.dumps({**head, "orders": bad}),
            }
            assert "orders" in evaluator.evaluate(Candidate(files)).reason
    finally:
        evaluator.close()


SEES = """
import torch
class Model(torch.nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, 1)
        return a * b, a
def get_inputs(): return [torch.randn(64, 96)]
def get_init_inputs(): return []
"""


def test_a_result_that_is_a_view_of_an_input_may_change_with_it() -> None:
    evaluator = KernelEvaluator(load_text(SEES, name="views"), baselines=("eager",), time_limit_s=3.0)
    try:
        found = evaluator.evaluate(Candidate({"kernel.py": SEES + "\nModelNew = Model\n"}))
        assert found.status is Status.PASSED, found.reason
    finally:
        evaluator.close()


def test_c_in_a_constant_is_compiled_without_running_the_file(evaluator: KernelEvaluator) -> None:
    text = PYTHON.replace("P, L =", f"C_SOURCE = {C_CODE!r}\nP, L =")
    found = evaluator.evaluate(Candidate({"answer.py": text}))
    assert found.status is Status.PASSED, found.reason


WRONG = {
    "zeros": "out[0].zero_(); return",
    "nothing written": "return",
    "last element skipped": "out[0].view(-1)[:-1].copy_(torch.nn.functional.gelu(x, approximate='tanh').mul(self.scale).view(-1)[:-1]); return",
    "exact gelu": "out[0].copy_(torch.nn.functional.gelu(x) * self.scale); return",
    "bfloat16 inside": "out[0].copy_(torch.nn.functional.gelu(x.bfloat16(), approximate='tanh').float() * self.scale); return",
    "stale weights": "self.kept = getattr(self, 'kept', self.scale.clone()); out[0].copy_(torch.nn.functional.gelu(x, approximate='tanh') * self.kept); return",
    "replay of the first answer": "self.first = getattr(self, 'first', None)\n        if self.first is not None:\n            out[0].copy_(self.first); return\n        self.first = torch.nn.functional.gelu(x, approximate='tanh') * self.scale",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_are_wrong(evaluator: KernelEvaluator, name: str) -> None:
    found = evaluator.evaluate(in_run(WRONG[name]))
    assert found.status is Status.WRONG, (found.status, found.reason)
    assert found.score is None


ENDS = {
    "hang": ("while True: pass", Status.TIMED_OUT, "took longer"),
    "segfault": ("ctypes.string_at(8)", Status.CRASHED, "SIGSEGV"),
    "write to the input": ("ctypes.memset(x.data_ptr(), 0, 4)", Status.REJECTED, "wrote to its inputs"),
    "exit 0": ("os._exit(0)", Status.REJECTED, "exit status 0"),
    "sys.exit": ("raise SystemExit(0)", Status.REJECTED, "SystemExit"),
    "exception": ("raise ValueError('no')", Status.CRASHED, "ValueError: no"),
    "fork": ("os.fork()", Status.REJECTED, "forbids"),
    "thread": ("import threading; threading.Thread(target=print).start()", Status.REJECTED, "forbids"),
    "program": ("import subprocess; subprocess.run(['true'])", Status.REJECTED, "forbids"),
    "socket": ("import socket; socket.socket()", Status.REJECTED, "forbids"),
    "kill the parent": ("os.kill(os.getppid(), 9)", Status.REJECTED, "forbids"),
    "file": ("open('/tmp/left-behind', 'w')", Status.REJECTED, "forbids"),
    "read another file": ("open('/etc/passwd')", Status.REJECTED, "forbids"),
    "look at processes": ("os.listdir('/proc')", Status.REJECTED, "forbids"),
    "allocate without end": ("self.hog = [torch.ones(1 << 28) for _ in range(1000)]", Status.CRASHED, ""),
    "write past the output": ("ctypes.memset(out[0].data_ptr() - 64, 1, 64)", Status.REJECTED, "outside its outputs"),
    "forged answer": ("import gc, socket\n        [o.send(b'{\"ok\": true}') for o in gc.get_objects() if isinstance(o, socket.socket)]", Status.WRONG, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_misbehaviour_ends_with_its_own_reason(evaluator: KernelEvaluator, name: str) -> None:
    statement, status, words = ENDS[name]
    found = evaluator.evaluate(in_run(statement))
    allowed = {status, Status.REJECTED, Status.CRASHED} if name == "forged answer" else {status}
    assert found.status in allowed, (found.status, found.reason)
    assert words in found.reason


def test_the_run_goes_on_after_all_of_that(evaluator: KernelEvaluator) -> None:
    assert evaluator.evaluate(candidate()).status is Status.PASSED


BUILDS = {
    "broken source": ({"c": "int run( {"}, Status.BUILD_FAILED, "error"),
    "plug-in": ({"flags": ["-fplugin=/tmp/x.so"]}, Status.REJECTED, "not on the list"),
    "response file": ({"flags": ["@/etc/passwd"]}, Status.REJECTED, "not on the list"),
    "linker option": ({"flags": ["-Wl,-rpath,/tmp"]}, Status.REJECTED, "not on the list"),
    "include of a secret": ({"c": '#include "/etc/passwd"\n' + C_CODE}, Status.BUILD_FAILED, "denied"),
    "incbin": ({"c": 'asm(".incbin \\"/proc/self/environ\\"");' + C_CODE}, Status.BUILD_FAILED, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BUILDS)
def test_building_runs_nothing_but_a_confined_compiler(evaluator: KernelEvaluator, name: str) -> None:
    how, status, words = BUILDS[name]
    found = evaluator.evaluate(candidate(**how))
    assert found.status is status, (found.status, found.reason)
    assert words in found.reason


def test_paths_outside_the_folder_are_refused(evaluator: KernelEvaluator) -> None:
    found = evaluator.evaluate(Candidate({"../kernel.py": PYTHON}))
    assert found.status is Status.REJECTED and found.score is None
    assert "inside the candidate's folder" in found.reason


def test_a_time_below_the_floor_is_measured_again_and_not_believed(
    evaluator: KernelEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator.open()
    monkeypatch.setattr(evaluator, "_floor", Floor(floor_s=10.0, bound_s=10.0, bound="memory"))
    found = evaluator.evaluate(candidate())
    assert found.status is Status.REJECTED and "physical floor of 10000000.0 us" in found.reason
    assert found.detail["measured_again_s"] > 0 and found.score is None


def test_a_confirmation_measures_in_several_sets_of_processes(evaluator: KernelEvaluator) -> None:
    found = evaluator.confirm(candidate())
    assert found.status is Status.PASSED, found.reason
    processes, samples = found.detail["process"], found.detail["samples_s"]
    assert set(processes) == {0, 1, 2, 3, 4} and len(samples["eager"]) == len(processes) >= 15


def test_a_large_source_has_longer_to_compile(tmp_path: Path) -> None:
    long = Unit(
        "int one(void) { return 1; }\n" + "/* as long as a network's */\n" * 30_000, "one.so", ("-O1",)
    )
    made = build(Package({}, "kernel.py", False, True, None, (long,)), tmp_path, timeout_s=1e-3, trust=True)
    assert not made.problem and (tmp_path / "one.so").exists()
