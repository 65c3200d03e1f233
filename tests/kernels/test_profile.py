"""`kerf profile` end to end: a real candidate, confined, sampled and stepped; the text must point at what is wrong with it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from kerf.archive import Archive
from kerf.core.records import RunState, Trial
from kerf.core.types import Budget, Candidate, Evaluation, KerfError, Metric, Status
from kerf.kernels.problem import KernelProblem, load_problem, load_text
from kerf.kernels.profile import Profile, compare, profile_candidate, worker
from kerf.kernels.profile.given import named
from kerf.kernels.referee.evaluator import KernelEvaluator

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="single stepping is of x86-64")

PROBLEM = """
import torch
from torch import nn
M, N = 512, 512
class Model(nn.Module):
    def forward(self, x):
        return x * 2.0 + 1.0
def get_inputs():
    return [torch.rand(M, N)]
def get_init_inputs():
    return []
"""
KERNEL = '''
import ctypes
from pathlib import Path
import torch
from torch import nn
C_SOURCE = r"""
void run(const float *restrict x, float *restrict y, long m, long n) {
    %s
}
"""
library = ctypes.CDLL(str(Path(__file__).with_name("kernel.so")))
class ModelNew(nn.Module):
    def forward(self, x):
        y = torch.empty_like(x)
        library.run(*(ctypes.c_void_p(t.data_ptr()) for t in (x, y)), *(ctypes.c_long(s) for s in x.shape))
        return y
'''
COLUMNS = "for (long j = 0; j < n; j++)\n        for (long i = 0; i < m; i++) y[i * n + j] = x[i * n + j] * 2.0f + 1.0f;"
ROWS = "for (long i = 0; i < m * n; i++) y[i] = x[i] * 2.0f + 1.0f;"


@pytest.fixture(scope="module")
def problem() -> KernelProblem:
    return load_text(PROBLEM, name="affine")


def profiled(problem: KernelProblem, body: str) -> Profile:
    return profile_candidate(problem, Candidate({"kernel.py": KERNEL % body}))


@pytest.fixture(scope="module")
def columns(problem: KernelProblem) -> Profile:
    return profiled(problem, COLUMNS)


@pytest.fixture(scope="module")
def rows(problem: KernelProblem) -> Profile:
    return profiled(problem, ROWS)


def test_a_walk_down_columns_is_found_and_named(columns: Profile) -> None:
    hot = columns.loops[0]
    assert hot.share > 0.7 and hot.function == "run"
    assert "y[i * n + j] = x[i * n + j]" in "\n".join(hot.source)
    assert {a.stride for a in hot.accesses} == {2048}
    assert all(a.used == 4 and a.l1 < 0.1 for a in hot.accesses)
    assert hot.trips == 512 and hot.vector_bits == 0 and hot.flops == 2
    assert "moves 2048 bytes an iteration and uses 4 of the 64 bytes" in columns.findings[0]


def test_text_says_it_in_sixty_lines_and_json_holds_it(columns: Profile) -> None:
    text = columns.text()
    assert len(text.splitlines()) <= 60
    for part in (
        "roofline",
        "What limits it",
        "Loop 1",
        "the candidate's code",
        "cycles an iteration",
        "not vectorized: not suitable",
    ):
        assert part in text
    assert columns.json()["loops"][0]["trips"] == 512


def test_the_repaired_kernel_has_nothing_to_say_of_that(rows: Profile, columns: Profile) -> None:
    assert rows.loops[0].vector_bits >= 256
    assert not any("of the 64 bytes" in text or "scalar" in text for text in rows.findings)
    said = compare(columns, rows)
    assert "times as fast" in said and "vector bits: 0 ->" in said and "no longer: Loop 1: the load" in said
    assert rows.time_s < columns.time_s


def test_torchs_own_time_is_no_loop_of_the_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorting is far from any roof on every machine; a product is near one where nothing else runs, and the roof is then told first."""
    text = PROBLEM.replace("x * 2.0 + 1.0", "torch.sort(x, dim=-1).values")
    found = profile_candidate(
        load_text(text, name="sorted"),
        Candidate({"kernel.py": text.replace("class Model(", "class ModelNew(")}),
    )
    assert not found.loops and found.places[0].where.startswith("lib") and not found.places[0].own
    assert "only calling it less, or replacing it, helps" in found.findings[0]


UNEVEN = """
    #pragma omp parallel num_threads(2)
    if (omp_get_thread_num() == %d)
        for (int again = 0; again < 6; again++)
            for (long i = 0; i < m * n; i++) y[i] = x[i] * 2.0f + (again < 5 ? y[i] : 1.0f);
"""


@pytest.mark.parametrize("worker", [0, 1])
def test_every_thread_is_watched(problem: KernelProblem, worker: int) -> None:
    """All is done by one of two threads, and the other waits: whichever it is, that is what is seen."""
    kernel = "C_FLAGS = ['-O2', '-fopenmp']\n" + KERNEL % (UNEVEN % worker)
    kernel = kernel.replace("void run(", "#include <omp.h>\nvoid run(")
    found = profile_candidate(problem, Candidate({"kernel.py": kernel}), threads=2)
    own = sum(p.share for p in found.places if p.own)
    waiting = sum(p.share for p in found.places if p.where.startswith("threads that wait"))
    assert own > 0.02, (
        found.places
    )  # nothing where only one thread is watched; little where waiting threads spin on busy cores
    assert worker == 0 or waiting > 0.02, found.places  # who waits asleep is seen where it is the main thread
    assert "again" in "\n".join(found.loops[0].source)


def test_what_cannot_be_profiled_says_why(problem: KernelProblem) -> None:
    with pytest.raises(KerfError, match="does not compile"):
        profiled(problem, "this is no C;")
    with pytest.raises(KerfError, match=r"cannot be profiled.*ModelNew"):
        profile_candidate(problem, Candidate({"kernel.txt": "x"}))


def test_a_candidate_reads_no_file_while_it_is_profiled(problem: KernelProblem, tmp_path: Path) -> None:
    """The worker confines itself before it loads what nobody trusts."""
    from kerf.sandbox import isolation

    if not isolation().sufficient:
        pytest.skip("this machine cannot isolate")
    secret = tmp_path / "secret"
    secret.write_text("s")
    spy = "open(" + repr(str(secret)) + ").read()\n" + KERNEL % ROWS
    with pytest.raises(KerfError, match="Permission denied"):
        profile_candidate(problem, Candidate({"kernel.py": spy}))


def test_names_that_are_nothing_say_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERF_HOME", str(tmp_path))
    (tmp_path / "p.py").write_text(PROBLEM)
    loaded = load_problem(tmp_path / "p.py")
    with pytest.raises(KerfError, match="kerf runs"):
        named("abc", loaded, 1)
    with pytest.raises(KerfError, match="no candidate at"):
        named("missing.py", loaded, 1)


def test_a_run_or_an_id_names_a_candidate_and_the_referees_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: KernelProblem
) -> None:
    monkeypatch.setenv("KERF_HOME", str(tmp_path))
    candidate = Candidate({"kernel.py": KERNEL % ROWS})
    key = KernelEvaluator(problem, trust=True).key
    with Archive() as archive:
        run = archive.begin(problem, key, "given", 0, Budget(1, None), {})
        passed = Evaluation(Status.PASSED, "", 2.0, {"time_s": Metric(3e-4, "s")}, {}, {}, 1.0)
        archive.record(run, key, Trial(candidate, passed, 0, 1, 0.5))
        archive.finish(run, RunState.DONE, 1.0, candidate.id)
    for name in ("last", run, candidate.id, candidate.id[:8]):
        found, seconds = named(name, problem, 1)
        assert (found.id, seconds) == (candidate.id, 3e-4)
    assert named("last", problem, 2)[1] is None  # nobody measured it with two threads


def test_windows_are_what_the_sampler_has_room_for() -> None:
    """The constants of two languages: words a step, and the rows of `Steps`."""
    source = Path(worker.__file__).with_name("sampler.c").read_text()
    assert f"#define WORDS {worker.WORDS} " in source
