"""Agents by themselves: whatever a model does, they come to candidates or to an end, within bounds, and can be replayed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Line, NumberBench, Scripted, call, judged, says

from kerf.core.records import Spending
from kerf.core.types import Candidate, KerfError
from kerf.models.ledger import Ceiling, Ledger, Metered
from kerf.models.prices import free
from kerf.models.protocol import Finish, Message, ModelError, Role, ToolCall, Usage
from kerf.models.retry import Transient
from kerf.proposers.agent.agents import AfterSearch, Agents
from kerf.proposers.agent.conversation import TURNS_A_CANDIDATE
from kerf.proposers.agent.fence import blocks, fenced
from kerf.proposers.agent.history import KEEP, History
from kerf.proposers.agent.session import Session


class Kept:
    """An archive's turns, in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, Mapping[str, Any]]] = []
        self.told: list[tuple[float, str, Mapping[str, Any]]] = []

    def turns(self, run: str) -> Sequence[tuple[int, int, Mapping[str, Any]]]:
        return list(self.rows)

    def record_turn(self, run: str, agent: int, turn: int, body: Mapping[str, Any]) -> None:
        self.rows.append((agent, turn, body))

    def events(self, run: str) -> Sequence[tuple[float, str, Mapping[str, Any]]]:
        return list(self.told)

    def event(self, run: str, kind: str, body: Mapping[str, Any]) -> None:
        self.told.append((0.0, kind, body))


def opened(model: Scripted, kept: Kept, max_tokens: int | None = None) -> Session:
    ledger = Ledger(Ceiling(tokens=max_tokens))
    session = Session(Metered(model, ledger, free()), ledger, free(), kept)
    session.bind("run")
    return session


def made(
    lines: Iterable[Line],
    agents: int = 1,
    kept: Kept | None = None,
    finish: Finish | None = None,
    max_tokens: int | None = None,
) -> tuple[Agents, Scripted, Kept]:
    model, kept = Scripted(lines, finish), kept or Kept()
    session = opened(model, kept, max_tokens)
    session.live = True
    return Agents(NumberBench(), session, agents=agents), model, kept


def searched(agents: Agents, rounds: int, n: int = 2) -> list[Candidate]:
    done = []
    for _ in range(rounds):
        asked = agents.ask(n)
        for candidate in asked:
            agents.tell(candidate, judged(candidate))
        done += asked
    return done


def heard(model: Scripted) -> str:
    """All that the model was sent in the end."""
    return "\n".join(m.text for m in model.sent[-1])


def test_a_candidate_comes_from_a_call_and_the_verdict_is_its_answer() -> None:
    agents, model, _ = made([call("look"), call("evaluate", number="1"), call("evaluate", number="2")])
    first, second = searched(agents, 2)
    assert (first.files["number"], second.files["number"]) == ("1", "2")
    last = model.sent[-1][-1]
    assert last.role is Role.TOOL and last.call == "evaluate-1" and "passed" in last.text
    assert agents.board.best and agents.board.best.candidate.id == second.id


def test_source_without_a_call_counts_as_a_candidate() -> None:
    agents, model, _ = made([says('{"number": "3"}'), call("evaluate", number="4")])
    assert [c.files["number"] for c in searched(agents, 2)] == ["3", "4"]
    assert model.sent[-1][-1].role is Role.USER and "verdict on 3" in model.sent[-1][-1].text


def test_every_call_of_a_message_is_answered_in_order() -> None:
    both = Message(
        Role.ASSISTANT,
        "",
        (
            ToolCall("a", "look", {}),
            ToolCall("b", "evaluate", {"number": "1"}),
            ToolCall("c", "evaluate", {"number": "2"}),
        ),
    )
    agents, model, _ = made([both, call("evaluate", number="5")])
    searched(agents, 2)
    answers = [m for m in model.sent[-1] if m.role is Role.TOOL]
    assert [m.call for m in answers] == ["a", "b", "c"]
    assert answers[2].failed and "one candidate at a time" in answers[2].text


@pytest.mark.parametrize(
    "wrong, advice",
    [
        (Message(Role.ASSISTANT, "", (ToolCall("x", "evaluate", None, '{"number": '),)), "no JSON object"),
        (call("rm", path="/"), "there is no tool 'rm'"),
        (call("evaluate", nothing="x"), "`number` is missing"),
        (says("I shall think about it."), "Words alone"),
    ],
)
def test_what_a_model_does_wrong_is_said_to_it_and_costs_no_evaluation(wrong: Message, advice: str) -> None:
    agents, model, _ = made([wrong, call("evaluate", number="7")])
    assert [c.files["number"] for c in searched(agents, 1)] == ["7"]
    assert advice in heard(model)


def test_the_same_again_is_not_evaluated_again() -> None:
    agents, model, _ = made(
        [call("evaluate", number="1"), call("evaluate", number="1 # renamed"), call("evaluate", number="2")]
    )
    assert [c.files["number"] for c in searched(agents, 2)] == ["1", "2"]
    assert "not evaluated: but for comments" in heard(model)


def test_a_model_that_only_talks_is_left_alone() -> None:
    agents, model, _ = made([says("hm")])
    assert not searched(agents, 5) and len(model.sent) == 3 and agents.agents[0].done


def test_a_model_that_never_stops_looking_is_told_to_submit_then_left_alone() -> None:
    agents, model, _ = made([call("look")])
    assert not searched(agents, 3)
    assert len(model.sent) == 2 * TURNS_A_CANDIDATE and "must call `evaluate`" in heard(model)
    assert "it stands above" in heard(model), "the same question again and again is answered as such"


def test_a_refusal_is_asked_once_more_then_ends() -> None:
    agents, model, _ = made([says("I cannot help with that.")], finish=Finish.REFUSED)
    assert not searched(agents, 4) and len(model.sent) == 3 and "refusal" in heard(model)


def test_the_ceiling_ends_the_conversation_and_is_reported() -> None:
    numbers = [call("evaluate", number=str(i)) for i in range(50)]
    agents, *_ = made(numbers, max_tokens=4_000)
    found = searched(agents, 50)
    assert 1 < len(found) < 50 and "ceiling" in agents.session.stopped
    assert agents.session.spending.tokens <= 4_000


def test_what_failed_attempts_cost_counts_after_a_resume() -> None:
    """They left no turn that could be played again; a ceiling holds over all sittings all the same."""
    lines = [call("evaluate", number="1"), Transient("cut", usage=Usage(700, 50))]
    agents, _, kept = made(lines)
    searched(agents, 2, 1)
    assert agents.session.spending == Spending(1, 860, 0.0)
    again = opened(Scripted([call("evaluate", number="2")]), kept, max_tokens=1000)
    assert again.ledger.spent.tokens == 750 and again.spending == Spending(0, 750, 0.0)
    assert not searched(Agents(NumberBench(), again), 1, 1) or again.ledger.spent.tokens == 860
    again.live = True
    searched(Agents(NumberBench(), again), 2, 1)
    assert again.exhausted and again.ledger.spent.tokens <= 1000


def test_a_model_that_never_answered_is_an_error_and_one_that_fails_later_is_not() -> None:
    agents, *_ = made([ModelError("no key")])
    with pytest.raises(KerfError, match="no key"):
        agents.ask(1)
    agents, model, _ = made([call("evaluate", number="1"), ModelError("cut")])
    assert len(searched(agents, 6)) == 1 and len(model.sent) == 3 and "cut" in agents.session.stopped


def test_search_tunes_what_the_model_left_open() -> None:
    agents, *_ = made([call("evaluate", number="1 # tune"), says("hm")])
    found = searched(agents, 4, n=4)
    tuned = [c for c in found if c.proposer == "tuner"]
    assert {c.files["number"] for c in tuned} >= {"1.001", "1.002", "1.003"} and all(
        c.notes["of"] == found[0].id for c in tuned
    )


def test_news_of_a_better_one_reaches_the_others_once() -> None:
    def line(messages: Sequence[Message]) -> Message:
        mine = sum(m.role is Role.ASSISTANT for m in messages)
        return call("evaluate", number=f"{mine + 1 + 100 * ('agent 0' in model.systems[-1])}")

    agents, model, _ = made([line], agents=2)
    searched(agents, 4)
    island = [m for m in model.sent if any("News" in x.text for x in m)]
    assert island and all(sum("News" in x.text for x in m) <= 3 for m in island)


def test_a_failing_streak_asks_for_reflection() -> None:
    agents, model, _ = made([call("evaluate", number=str(-i)) for i in range(1, 9)])
    searched(agents, 4)
    assert "which assumption of yours the measurements contradict" in heard(model)


@pytest.mark.parametrize("agents", [1, 3])
@pytest.mark.parametrize("rounds", [1, 3])
def test_a_resumed_run_pays_for_no_turn_twice(rounds: int, agents: int) -> None:
    lines = [call("look"), *(call("evaluate", number=str(i)) for i in range(30))]
    first, model, kept = made(lines, agents, Kept())
    before = searched(first, rounds, n=3)
    again = Scripted(lines[len(model.sent) :])
    session = opened(again, kept)
    second = Agents(NumberBench(), session, agents=agents)
    assert [c.id for c in searched(second, rounds, n=3)] == [c.id for c in before]
    assert not again.sent and session.spending == first.session.spending and not second.agents[0].bench.looked  # type: ignore[attr-defined]
    assert not second.ask(3), "nothing new before the replay is over"
    session.live = True
    assert second.ask(3) and len(again.sent) == agents


def test_long_histories_are_masked_and_stay_whole() -> None:
    history = History(most_chars=40_000)
    history.say("the opening")
    for i in range(40):
        history.said(call("look", id=f"c{i}", text="x" * 900))
        history.answer([Message(Role.TOOL, "y" * 900, call=f"c{i}")])
        assert history.compact()
    assert history.chars <= 40_000 and history.messages[0].text == "the opening"
    assert history.messages[-1].text == "y" * 900 and len(history.messages) == 81
    assert all(len(m.text) < 400 for m in history.messages[1 : KEEP * 2])


def test_a_history_that_masking_cannot_shorten_says_so() -> None:
    history = History(most_chars=2_000)
    history.say("x" * 3_000)
    assert not history.compact()


@given(st.text(alphabet="`ab\n", max_size=60))
@settings(max_examples=200, deadline=None)
def test_data_cannot_leave_its_fence(text: str) -> None:
    inside = fenced(text, "c")
    assert inside.splitlines()[0].rstrip("c") not in [line.strip() for line in inside.splitlines()[1:-1]]
    assert blocks(inside, ("c",)) == [text.rstrip() + "\n"]


def test_search_goes_first_then_shares_with_the_agents() -> None:
    agents, _, _ = made([call("evaluate", number=str(i)) for i in range(100, 140)])
    origin = Candidate({"number": "1"})
    numbers = iter(range(1, 200))

    class Search:
        name = "search"

        def ask(self, n: int) -> list[Candidate]:
            return [
                Candidate({"number": f"{next(numbers)}.5"}, proposer="search", notes={"point": {}})
                for _ in range(n)
            ]

        def tell(self, candidate: Candidate, evaluation: object) -> None:
            assert candidate.notes.get("point") is not None, "search is told of its own kind only"

    together = AfterSearch([origin], Search(), agents, "both")
    who = []
    for _ in range(6):
        for candidate in together.ask(4):
            together.tell(candidate, judged(candidate))
            who.append(candidate.proposer or "given")
    assert who[:9] == ["given", *["search"] * 8] and who.count("agent") == 3 and who[9] == "agent"
    assert who.count("search") == 8 + 3 * 3
