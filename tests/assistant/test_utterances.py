"""What people say becomes the plan they mean; what cannot be meant is asked back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import saying
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kerf.assistant.grammar import Ask
from kerf.assistant.plan import Plan
from kerf.assistant.questions import Question
from kerf.assistant.words import UNITS
from kerf.verbs import all_verbs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saying.folder(tmp_path_factory.mktemp("said"))


@pytest.mark.parametrize("case", saying.cases("utterances.toml"), ids=lambda c: c["say"])
def test_plan_is_what_was_meant(case: dict[str, Any], folder: Path) -> None:
    assert not saying.wrong(case, folder)


@pytest.mark.parametrize("case", saying.cases("refused.toml"), ids=lambda c: c["say"])
def test_nonsense_is_asked_back(case: dict[str, Any], folder: Path) -> None:
    assert not saying.wrong({**case, "ask": True}, folder)


def test_there_are_enough_of_them() -> None:
    said = saying.cases("utterances.toml")
    assert len(said) >= 150 and len(saying.cases("refused.toml")) >= 50
    assert sum("before" in c for c in said) * 3 >= len(said)


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saying.folder(tmp_path_factory.mktemp("third"), saying.THIRD)


@pytest.mark.parametrize(
    ("name", "least"), [("heldout.toml", 58), ("heldout2.toml", 76), ("heldout3.toml", 100)]
)
def test_held_out_sentences_do_not_get_worse(folder: Path, third: Path, name: str, least: int) -> None:
    """Held out until their first look (51 of 60, 45 of 80 and 59 of 104 were right); what was found there has been mended since, so that
    they guard against getting worse and measure nothing new. A wrong plan is worse than a question: there is none."""
    here = third if name == "heldout3.toml" else folder
    said = [saying.wrong(c, here) for c in saying.cases(name)]
    assert sum(not w for w in said) >= least
    assert not [w for w in said if w.startswith(("planned", "goal", "not asked", "Plan("))]


CHANGING = saying.cases("changing.toml")


@pytest.mark.parametrize("case", CHANGING, ids=lambda c: c["say"])
def test_no_word_that_changes_the_meaning_is_ignored(case: dict[str, Any], folder: Path) -> None:
    """Negations, exceptions, bounds, units and questions about the past: what they change is planned, or the sentence is asked back."""
    assert not saying.wrong(case, folder)


NOT = (
    "don't {}",
    "do not {}",
    "never {}",
    "did you {}?",
    "have you {}?",
    "should I {}?",
    "{} except on Mondays",
    "stop and {}",
    "what happens if I {}",
)
DOING = (
    "optimize softmax.py",
    "place gcd",
    "verify fifo.sv",
    "repair arbiter.v",
    "audit softmax.py",
    "draw gcd.def",
    "delete runs older than 30 days",
)
WITHOUT = (
    "without {}",
    "with no {}",
    "but no {}",
    "but not {}",
    "except {}",
    "not {}",
    "instead of {}",
    "anything but {}",
)
WHAT = (("optimize softmax.py", "two threads"), ("optimize softmax.py", "the evolution proposer"), ("optimize softmax.py", "seed 3"), ("verify fifo.sv", "coverage"),
        ("verify fifo.sv", "mutants"), ("place gcd", "10 um halo"), ("place gcd", "the rams on the left edge"), ("place gcd", "routability"), ("draw gcd.def", "congestion"))  # fmt: skip


@given(st.sampled_from(NOT), st.sampled_from(DOING))
@settings(max_examples=63, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_denied_or_only_asked_about_is_not_done(folder: Path, way: str, doing: str) -> None:
    assert isinstance(saying.Conversation(folder).say(way.format(doing)), Ask | Question)


@given(st.sampled_from(WITHOUT), st.sampled_from(WHAT))
@settings(max_examples=72, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_left_out_is_not_put_in(folder: Path, way: str, what: tuple[str, str]) -> None:
    """Asked back, or planned as if it had not been said."""
    doing, left_out = what
    found = saying.Conversation(folder).say(f"{doing} {way.format(left_out)}")
    plain = saying.Conversation(folder).say(doing)
    assert isinstance(plain, Plan)
    assert not isinstance(found, Plan) or [s.command() for s in found.steps] == [
        s.command() for s in plain.steps
    ]


LENGTHS = st.sampled_from(
    [("s", 1 / 60), ("secs", 1 / 60), ("minutes", 1.0), ("mins", 1.0), ("hours", 60.0), ("h", 60.0)]
)


@given(st.integers(1, 90), LENGTHS, st.integers(1, 90), LENGTHS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_times_are_added_in_their_units(
    folder: Path, n: int, unit: tuple[str, float], more: int, its: tuple[str, float]
) -> None:
    conversation = saying.Conversation(folder)
    first = conversation.say(f"optimize softmax.py for {n} {unit[0]}")
    then = conversation.say(f"{more} {its[0]} longer")
    assert isinstance(first, Plan) and first.steps[0].arguments["minutes"] == pytest.approx(n * unit[1])
    assert isinstance(then, Plan) and then.steps[0].arguments["minutes"] == pytest.approx(
        n * unit[1] + more * its[1]
    )


@pytest.mark.parametrize("unit", [u for u, (kind, _) in UNITS.items() if kind == "time"])
@pytest.mark.parametrize(
    "doing", ["verify fifo.sv", "optimize softmax.py", "place gcd.def", "repair fifo.sv"]
)
def test_a_time_says_nothing_but_how_long(folder: Path, doing: str, unit: str) -> None:
    """ "2 min" once meant mining."""
    plain, timed = (saying.Conversation(folder).say(s) for s in (doing, f"{doing} for 2 {unit}"))
    assert isinstance(plain, Plan) and isinstance(timed, Plan)
    assert {**timed.steps[0].arguments, "minutes": None} == {**plain.steps[0].arguments, "minutes": None}
    assert timed.steps[0].arguments["minutes"] == pytest.approx(2 * UNITS[unit][1] / 60)


WORDS = [w for c in saying.cases("utterances.toml") for w in c["say"].split()]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)))
def test_any_text_is_understood_or_asked_back(folder: Path, text: str) -> None:
    conversation = saying.Conversation(folder)
    conversation.say("place gcd with 10 um halo")
    assert isinstance(conversation.say(text), Plan | Ask | Question)


@pytest.mark.parametrize("verb", all_verbs().values(), ids=lambda v: v.name)
def test_a_verbs_own_examples_are_understood(verb: Any, folder: Path) -> None:
    """They are shown as what can be said."""
    for example in verb.says.examples:
        conversation = saying.Conversation(folder)
        for before in ("optimize softmax.py", "verify fifo.sv"):
            conversation.say(before)
        found = conversation.say(example)
        assert isinstance(found, Plan), f"{example}: {found}"
        assert any(s.verb.name == verb.name for s in found.steps), f"{example}: {found.steps[0].command()}"
