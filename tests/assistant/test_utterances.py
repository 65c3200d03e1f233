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


def test_held_out_sentences_do_not_get_worse(folder: Path) -> None:
    """Never tuned to: a wrong plan is worse than a question, and there may be no more of either than there were."""
    said = [(c, saying.wrong(c, folder)) for c in saying.cases("heldout.toml")]
    assert sum(not w for _, w in said) >= 51


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
