"""The page and the terminal: complete, self-contained, and safe against what candidates write."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from toys import ToyEvaluator, ToyProblem

from kerf import loop
from kerf.archive import Archive
from kerf.core.records import Progress as Moment
from kerf.core.records import RunState, Stop, Trial
from kerf.core.types import Budget, Candidate, Evaluation, Metric, Status
from kerf.proposers import make
from kerf.report import Progress, html, table
from kerf.report.charts import roof_share, usable_roofline
from kerf.report.facts import flat
from kerf.report.svg import Scale
from kerf.report.tree import tree

ROOFLINE = {"flops": 1e9, "bytes": 1e8, "time_s": 0.01, "peak_gflops": 200.0, "bandwidth_gbs": 20.0}


class Evaluator(ToyEvaluator):
    def _judge(self, candidate, factor):
        found = super()._judge(candidate, factor)
        tolerance = {"max": 1e-5, "source": "4 times the error of honest variants"}
        detail = {"roofline": ROOFLINE, "tolerance": tolerance}
        return replace(found, detail=detail) if found.score else found


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path) as found:
        yield found


@pytest.fixture
def run(archive):
    evaluator = Evaluator()
    proposer = make("evolution", evaluator.landscape.space, None, 0)
    return loop.run(ToyProblem(), proposer, evaluator, archive, Budget(40), options={"path": "gelu.py"}).run


class Reader(HTMLParser):
    """Every tag opened and closed in order, every attribute and text."""

    def __init__(self, page):
        super().__init__()
        self.stack, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(page)
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br", "hr"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_says_what_an_engineer_asks(archive, run):
    page = html(run, archive)
    words = " ".join(Reader(page).words)
    best = archive.run(run).best
    for expected in (run, best, "over eager", "95 % interval", "50% of the roof", "tolerance.source", "honest variants",
                     "measured again in a fresh process", "Schedule", "tile", "gelu.py", "Difference from", "toy-machine"):  # fmt: skip
        assert expected in words, expected
    assert page.count("<svg") >= 5


def test_the_page_needs_no_network_and_no_script(archive, run):
    page = html(run, archive)
    reader = Reader(page)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    assert not [v for k, v in reader.attributes if k in ("href", "src", "xlink:href")] and "url(" not in page
    assert "default-src &#x27;none&#x27;" in page and "prefers-color-scheme: dark" in page


HOSTILE = "</pre></style><script>alert('x')</script><img src=x onerror=alert(1)>\"' onload=alert(2) \x1b[2J\x00\ud800 ]]> &lt;"


def test_nothing_a_candidate_writes_becomes_markup(archive):
    class Problem(ToyProblem):
        def describe(self):
            return HOSTILE

    name = archive.begin(Problem(HOSTILE), "key", "random", 0, Budget(2), {HOSTILE: "x"})
    evaluation = Evaluation(
        Status.PASSED, HOSTILE, 1.0, {f"speedup.{HOSTILE}": Metric(2.0, "x", 1.5, 2.5)},
        {HOSTILE: {HOSTILE: [HOSTILE]}, "roofline": ROOFLINE, "provenance": HOSTILE}, {HOSTILE: HOSTILE},
    )  # fmt: skip
    notes = {"schedule": {HOSTILE: HOSTILE}, "point": {HOSTILE: HOSTILE}}
    first = Candidate({HOSTILE: HOSTILE, "manifest.json": "[" + HOSTILE}, None, HOSTILE, notes)
    second = Candidate({HOSTILE: f"{HOSTILE}\nmore"}, first.id, "random", notes)
    archive.record(name, "key", Trial(first, Evaluation(Status.WRONG, HOSTILE), 0, 2, 0.1))
    archive.record(name, "key", Trial(second, evaluation, 0, 2, 0.2))
    archive.add_note(name, HOSTILE)
    archive.finish(name, RunState.DONE, 1.0, second.id)
    page = html(name, archive)
    reader = Reader(page)
    assert not {"script", "img"} & set(reader.tags) and not [
        k for k, _ in reader.attributes if k.startswith("on")
    ]
    assert page.encode() and "\x1b" not in page and "\x00" not in page


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.PASSED])
def test_a_run_in_which_nothing_passed_has_a_page(archive, status):
    name = archive.begin(ToyProblem(), "key", "random", 0, Budget(2), {})
    archive.record(name, "key", Trial(Candidate({"a": "b"}), Evaluation(status, "because"), 0, 1, 0.0))
    archive.finish(name, RunState.DONE, 1.0, None)
    words = " ".join(Reader(html(name, archive)).words)
    assert "No candidate passed" in words and "because" in words


def test_a_run_without_candidates_has_a_page(archive):
    name = archive.begin(ToyProblem(), "key", "random", 0, Budget(2), {})
    assert "No candidate was evaluated" in " ".join(Reader(html(name, archive)).words)


def test_an_interrupted_run_says_that_it_was_not_confirmed(archive, run):
    archive.db.execute("DELETE FROM confirmations")
    assert "not confirmed yet" in html(run, archive)


def chain(length, score=1.0):
    parent, trials = None, []
    for i in range(length):
        candidate = Candidate({"a": str(i)}, parent, "evolution")
        trials.append(Trial(candidate, Evaluation(Status.PASSED, score=score), i, 1, float(i)))
        parent = candidate.id
    return trials


def test_a_tree_of_thousands_of_generations_is_drawn():
    trials = chain(3000)
    assert tree(trials, trials[-1].candidate.id).count("<circle") == 3000


def test_a_circle_of_parents_does_not_hang_the_tree():
    a, b = Candidate({"a": ""}), Candidate({"b": ""})
    trials = [
        Trial(replace(c, parent=p.id), Evaluation(Status.WRONG), 0, 2, 0.0) for c, p in ((a, b), (b, a))
    ]
    assert tree(trials, a.id).count("<rect") == 2


def test_the_roofline_is_the_nearer_of_its_two_roofs():
    assert roof_share(ROOFLINE) == pytest.approx(0.5)
    assert roof_share({**ROOFLINE, "flops": 2e9, "bytes": 1e7, "time_s": 0.02}) == pytest.approx(0.5)
    assert usable_roofline({"roofline": {**ROOFLINE, "time_s": math.nan}}) is None
    assert usable_roofline({"roofline": {"share": 0.5}}) is None and usable_roofline({}) is None


def test_a_kernel_that_computes_nothing_gets_a_bandwidth_bar(archive):
    name = archive.begin(ToyProblem(), "key", "random", 0, Budget(2), {})
    found = Evaluation(Status.PASSED, score=1.0, detail={"roofline": {**ROOFLINE, "flops": 0}})
    archive.record(name, "key", Trial(Candidate({"a": "b"}), found, 0, 1, 0.0))
    assert "10.0 of 20.0 GB/s: 50% of the roof" in " ".join(Reader(html(name, archive)).words)


@pytest.mark.parametrize(
    "low,high,log",
    [(1.0, 1.05, True), (0.01, 300.0, True), (0.0, 7.0, False), (5.0, 5.0, False), (2.0, 2.1, True)],
)
def test_axes_have_a_few_ticks_inside_their_range(low, high, log):
    ticks = Scale(low, high, 0, 100, log).ticks()
    assert 1 <= len(ticks) <= 9 and all(low - 1e-9 <= t <= high + 1e-9 for t in ticks)


def test_facts_are_flat_and_brief():
    told = {"a": {"b": 0.1234567}, "c": list(range(20)), "d": [{"e": True}, "f"], "g": None, "h": {}}
    assert flat(told)[:4] == [
        ("a.b", "0.123457"),
        ("c", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ... (20 in all)"),
        ("d.0.e", "yes"),
        ("d.1", "f"),
    ]
    assert ("g", "-") in flat(told)


def test_a_table_is_aligned_and_harmless():
    said = table([{"kernel": "gelu", "x": 2.0}, {"kernel": "[red]\x1b[31m", "x": 12.5}])
    assert "gelu" in said and "[red]" in said and "\x1b" not in said
    numbers = [line for line in said.splitlines() if re.search(r"\d", line)]
    assert len({len(line) for line in numbers}) == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


def moments(count=20):
    trials = [
        replace(t, evaluation=Evaluation(Status.PASSED, score=1.0 + t.round // 5)) for t in chain(count)
    ]
    told = [Moment("r", Budget(count), 0, 0, 0.0)]
    told += [
        Moment("r", Budget(count), i + 1, 0, float(i + 1), t, trials[i // 5 * 5])
        for i, t in enumerate(trials)
    ]
    return [*told, replace(told[-1], confirming=True), replace(told[-1], stop=Stop.BUDGET)]


def test_off_a_terminal_progress_is_a_few_plain_lines():
    stream = io.StringIO()
    watch = Progress(stream)
    for moment in moments():
        watch(moment)
    lines = stream.getvalue().splitlines()
    assert "\x1b" not in stream.getvalue() and "\r" not in stream.getvalue() and 5 <= len(lines) <= 14
    assert lines[0] == "nothing passed yet | 0/20 evaluations | 0:00"
    assert "best 4.00x by evolution" in lines[-1] and lines[-1].endswith("stopped: budget")


def test_on_a_terminal_progress_is_one_line_that_ends():
    stream = Terminal()
    watch = Progress(stream)
    for moment in moments():
        watch(moment)
    said = stream.getvalue()
    assert (
        said.count("\n") == 1
        and said.endswith("\n")
        and "10/20 evaluations | 0:10, 0:10 left" in said
        and "━" in said
    )
