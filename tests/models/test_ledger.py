"""Ceilings hold, prices are known or asked for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_model import Scripted, said

from kerf.core.types import KerfError
from kerf.models import prices
from kerf.models.ledger import Ceiling, Exhausted, Ledger, Metered, Spent
from kerf.models.prices import Price, Rate
from kerf.models.protocol import Message, Reply, Request, Role, Usage, Watch, unwatched
from kerf.models.retry import Patience, Retrying, Transient

DEAR = Price(Rate(10.0, 50.0, 1.0, 12.5))


def greedy(heard: Request) -> Reply:
    """Writes as much as it may, and counts a token for every two bytes it was sent."""
    sent = sum(len(m.text.encode()) for m in heard.messages) // 2
    return said("", usage=Usage(sent, heard.max_tokens))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 60_000), min_size=1, max_size=12),
    st.floats(0.01, 3.0),
    st.integers(2_000, 200_000),
    st.integers(1, 8192),
)
def test_no_conversation_passes_a_ceiling(sizes: list[int], dollars: float, tokens: int, most: int) -> None:
    ledger = Ledger(Ceiling(dollars, tokens))
    model = Metered(Scripted([greedy]), ledger, DEAR)
    for size in sizes:
        with contextlib.suppress(Exhausted):
            model.reply(Request([Message(Role.USER, "x" * size)], max_tokens=most))
    assert ledger.spent.dollars <= dollars and ledger.spent.tokens <= tokens


def test_denser_text_that_is_added_cannot_pass_a_ceiling() -> None:
    """Prose first, then digits, which make four times as many tokens."""

    def counts(heard: Request) -> Reply:
        prose, digits = (sum(m.text.count(c) for m in heard.messages) for c in "x9")
        return said("", usage=Usage(prose // 4 + digits, heard.max_tokens))

    ledger = Ledger(Ceiling(tokens=60_000))
    model, talk = Metered(Scripted([counts]), ledger, DEAR), [Message(Role.USER, "x" * 20_000)]
    with pytest.raises(Exhausted):
        while True:
            model.reply(Request(talk, max_tokens=300))
            talk.append(Message(Role.USER, "9" * 4000))
    assert ledger.spent.calls >= 4 and ledger.spent.tokens <= 60_000


def test_a_model_that_never_stops_is_stopped_near_the_ceiling() -> None:
    """The ceiling is used, not just kept: what is left over is less than two calls' worth."""
    ledger = Ledger(Ceiling(dollars=1.0))
    model = Metered(Scripted([said("x", usage=Usage(2000, 500))]), ledger, DEAR)
    with pytest.raises(Exhausted, match=r"the ceiling \(\$1\) is reached after \d+ calls"):
        for _ in range(1000):
            model.reply(Request([Message(Role.USER, "x" * 6000)], max_tokens=1000))
    assert 0.88 <= ledger.spent.dollars <= 1.0


def test_a_reply_is_made_shorter_before_it_is_refused() -> None:
    fake = Scripted([greedy])
    with pytest.raises(Exhausted):
        for _ in range(20):
            Metered(fake, ledger := Ledger(Ceiling(tokens=3000)), DEAR).reply(
                Request([Message(Role.USER, "x")], max_tokens=8192)
            )
            Metered(fake, ledger, DEAR).reply(Request([Message(Role.USER, "x")], max_tokens=8192))
    assert fake.heard[0].max_tokens < 2000


def test_time_runs_out() -> None:
    now = [0.0]
    ledger = Ledger(Ceiling(seconds=10), clock=lambda: now[0])
    limits: list[float] = []

    class Slow(Scripted):
        def reply(self, request: Request, watch: Watch = unwatched) -> Reply:
            limits.append(request.timeout_s)
            now[0] += 6
            return said("x")

    model = Metered(Slow([]), ledger, None)
    model.reply(Request([]))
    model.reply(Request([]))
    with pytest.raises(Exhausted, match="time is used up"):
        model.reply(Request([]))
    assert limits == [10, 4]


def test_agents_that_share_a_ledger_cannot_pass_it_together() -> None:
    """Each would fit alone; while one is on its way the other is refused."""
    ledger, inside, go = Ledger(Ceiling(tokens=4000)), threading.Event(), threading.Event()

    def waits(heard: Request) -> Reply:
        inside.set()
        assert go.wait(5)
        return greedy(heard)

    first = Metered(Scripted([waits]), ledger, DEAR)
    worker = threading.Thread(target=first.reply, args=(Request([Message(Role.USER, "x")]),))
    worker.start()
    assert inside.wait(5)
    with pytest.raises(Exhausted):
        Metered(Scripted([greedy]), ledger, DEAR).reply(Request([Message(Role.USER, "x")]))
    go.set()
    worker.join()
    assert ledger.spent.calls == 1


def test_attempts_that_fail_are_charged() -> None:
    broken = Transient("cut", usage=Usage(1000, 10))
    told: list[tuple[Usage, float | None]] = []
    ledger = Ledger(lost=lambda usage, dollars: told.append((usage, dollars)))
    model = Retrying(
        Metered(Scripted([broken, said("ok", usage=Usage(1000, 20))]), ledger, DEAR), Patience(base_s=0)
    )
    assert model.reply(Request([])).usage == Usage(1000, 20), "its own"
    assert told == [(Usage(1000, 10), DEAR.cost(Usage(1000, 10)))]
    assert ledger.spent == Spent(DEAR.cost(Usage(1000, 10)) + DEAR.cost(Usage(1000, 20)), Usage(2000, 30), 2)


def test_a_stopped_call_is_charged() -> None:
    def stop(text: str) -> None:
        raise KeyboardInterrupt

    ledger = Ledger()
    model = Metered(Scripted([said("half of it")]), ledger, DEAR)
    with pytest.raises(KeyboardInterrupt):
        model.reply(Request([Message(Role.USER, "x" * 3000)]), stop)
    assert ledger.spent.calls == 1 and ledger.spent.usage.input_tokens >= 1000 and ledger.spent.dollars > 0


def test_a_resumed_run_goes_on_where_it_was() -> None:
    ledger = Ledger(Ceiling(dollars=1.0), Spent(dollars=0.999))
    with pytest.raises(Exhausted):
        Metered(Scripted([greedy]), ledger, DEAR).reply(Request([Message(Role.USER, "x" * 100)]))


def test_dollars_need_a_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the error tells to write is what helps."""
    monkeypatch.setenv("KERF_PRICES", str(tmp_path / "prices.toml"))
    with pytest.raises(KerfError, match="is not known") as caught:
        Metered(Scripted([greedy]), Ledger(Ceiling(dollars=1)), None)
    (tmp_path / "prices.toml").write_text("\n".join(str(caught.value).splitlines()[1:3]))
    assert prices.cost(Usage(1), "scripted/model") == 0
    ledger = Ledger(Ceiling(tokens=10_000))
    Metered(Scripted([said("x")]), ledger, None).reply(Request([]))
    assert "no known price" in str(ledger)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    path = tmp_path / "prices.toml"
    monkeypatch.setenv("KERF_PRICES", str(path))
    return lambda text: path.write_text(text) and None


def test_published_prices(own: Callable[[str], None]) -> None:
    """Every row can be read and is plausible: what is read from a cache costs no more than what is sent."""
    table = prices._published()
    for provider in ("anthropic", "openai"):
        assert table[provider]["source"].startswith("https://") and table[provider]["read"]
        for name in table[provider]["models"]:
            found = prices.price_of(f"{provider}/{name}")
            assert found and 0 < found.rate.cached <= found.rate.input < found.rate.output
            assert found.long is None or found.long.input > found.rate.input
    million = Usage(1_000_000, 1_000_000, 500_000)
    assert prices.cost(million, "anthropic/claude-opus-4-5-20251101") == pytest.approx(3.125 + 0.25 + 25)
    assert prices.cost(Usage(100_000), "anthropic/claude-haiku-5-5") == pytest.approx(0.0125)
    assert prices.cost(Usage(100_001), "anthropic/claude-haiku-5-5") == pytest.approx(0.0625, rel=1e-4)


def test_unknown_and_free_models(own: Callable[[str], None]) -> None:
    assert prices.cost(Usage(1), "openai/what-is-this") is None
    assert prices.cost(Usage(1), "openai/gpt-5.5@http://localhost:8000/v1") is None, "another server's price"
    assert prices.cost(Usage(10**6, 10**6), "local/weights") == 0


def test_ones_own_prices_come_first(own: Callable[[str], None]) -> None:
    own(
        '[openai.models]\n"gpt-5.5" = { input = 1.0, output = 2.0 }\n"m@http://h/v1" = { input = 0, output = 0 }\n'
    )
    assert prices.cost(Usage(10**6, 10**6), "openai/gpt-5.5") == 3
    assert prices.cost(Usage(10**6, 10**6), "openai/m@http://h/v1") == 0
    own("[openai.models]\nx = { input = -1, output = 2 }\n")
    with pytest.raises(KerfError, match="none negative"):
        prices.price_of("openai/x")
    own("not toml")
    with pytest.raises(KerfError, match="cannot be read"):
        prices.price_of("openai/x")


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "-1,2", "nan,1"])
def test_prices_that_are_none(text: str) -> None:
    with pytest.raises(KerfError):
        prices.given(text)


def test_a_given_price() -> None:
    assert prices.given("0.4,1.6").cost(Usage(10**6, 10**6, 10**6)) == pytest.approx(2.0)
