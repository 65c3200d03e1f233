"""A plan runs after a yes and not before; what came of it can be asked, changed, undone, and taken up again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
import saying

from kerf.archive import Archive
from kerf.archive.conversations import Conversations
from kerf.assistant.context import Context
from kerf.assistant.dialogue import Dialogue
from kerf.assistant.grammar import Ask, understand
from kerf.assistant.plan import Plan
from kerf.assistant.workspace import Workspace
from kerf.core.speech import Said, Says
from kerf.core.types import KerfError
from kerf.core.verb import Option, Verb
from kerf.verbs import all_verbs


class Oven:
    """A verb that nobody wrote a grammar for."""

    def __init__(self) -> None:
        self.baked: list[Mapping[str, Any]] = []

    def bake(
        self,
        recipe: Annotated[str, Option("A recipe.", metavar="RECIPE")],
        *,
        heat: Annotated[int, Option("Degrees.")] = 180,
        minutes: Annotated[float, Option("How long.")] = 30.0,
        crust: Annotated[str, Option("Which crust.")] = "soft",
    ) -> dict[str, Any]:
        """Bake a cake."""
        if heat > 300:
            raise KerfError("the oven goes to 300 degrees")
        self.baked.append({"recipe": recipe, "heat": heat, "minutes": minutes, "crust": crust})
        return {"run": f"run{len(self.baked)}", "gain": heat / 100, "legal": heat != 13}

    def verb(self) -> Verb:
        says = Says(
            words=("make",),
            nouns=("cake",),
            examples=("bake lemon.cake at 200 degrees",),
            options={
                "recipe": Said(files=("*.cake",), thing="recipe"),
                "heat": Said(words=("degree",)),
                "minutes": Said(unit="minutes"),
                "crust": Said(choices={"hard": ("crunchy", "hard crust"), "soft": ("tender",)}),
            },
            gives={"run": "run"},
            gain=lambda result: (result["gain"], f"{result['gain']}x"),
        )
        return Verb(
            "bake", self.bake, lambda r: f"baked {r['run']}", failed=lambda r: not r["legal"], says=says
        )


@pytest.fixture
def oven() -> Oven:
    return Oven()


def dialogue(oven: Oven, path: Path, yes: bool | None = True, **how: Any) -> tuple[Dialogue, list[str]]:
    for name in ("lemon.cake", "carrot.cake"):
        (path / name).write_text("")
    shown: list[str] = []
    context = Context({"bake": oven.verb()}, Workspace(path))
    made = Dialogue(
        context, Archive(path / "home"), lambda plan: yes, shown.append, lambda event: None, **how
    )
    return made, shown


@pytest.mark.parametrize(
    ("sentence", "baked"),
    [
        ("bake lemon.cake at 200 degrees for an hour", {"heat": 200, "minutes": 60.0}),
        ("please bake the lemon, crunchy, half an hour", {"minutes": 30.0, "crust": "hard"}),
        ("make the lemn cake with 220 degrees", {"heat": 220}),
    ],
)
def test_a_new_verb_is_spoken_the_day_it_lands(
    sentence: str, baked: Mapping[str, Any], oven: Oven, tmp_path: Path
) -> None:
    talk, _ = dialogue(oven, tmp_path)
    assert talk.hear(sentence).status == "done"
    defaults = {"recipe": "lemon.cake", "heat": 180, "minutes": 30.0, "crust": "soft"}
    assert oven.baked == [defaults | baked]


def test_follow_ups_change_a_new_verbs_plan(oven: Oven, tmp_path: Path) -> None:
    talk, _ = dialogue(oven, tmp_path)
    for sentence in (
        "bake lemon.cake for 20 minutes",
        "twice as long",
        "the same for carrot.cake",
        "undo that",
    ):
        assert talk.hear(sentence).status in ("done", "answered")
    talk.hear("again with 150 degrees")
    assert [(b["recipe"], b["minutes"], b["heat"]) for b in oven.baked] == [
        ("lemon.cake", 20, 180),
        ("lemon.cake", 40, 180),
        ("carrot.cake", 40, 180),
        ("lemon.cake", 40, 150),
    ]


@pytest.mark.parametrize(("answer", "status"), [(None, "planned"), (False, "refused")])
def test_nothing_runs_without_a_yes(answer: bool | None, status: str, oven: Oven, tmp_path: Path) -> None:
    talk, shown = dialogue(oven, tmp_path, answer)
    heard = talk.hear("bake lemon.cake")
    assert heard.status == status and not oven.baked
    assert "bake lemon.cake" in shown[0] and "heat=180" in shown[0] and "cost" in shown[0]


def test_goal_is_judged_by_what_was_measured(oven: Oven, tmp_path: Path) -> None:
    talk, shown = dialogue(oven, tmp_path)
    talk.hear("bake lemon.cake 3x faster")
    assert "3x not reached: 1.8x" in shown[-1] and "source       run run1" in shown[-1]


def test_a_step_that_fails_ends_the_plan(oven: Oven, tmp_path: Path) -> None:
    talk, _ = dialogue(oven, tmp_path)
    heard = talk.hear("bake lemon.cake at 301 degrees, then bake carrot.cake")
    assert heard.status == "failed" and "300 degrees" in heard.text and not oven.baked
    assert talk.hear("bake lemon.cake at 13 degrees; bake carrot.cake").status == "failed"
    assert len(oven.baked) == 1


def test_conversations_are_taken_up_again(oven: Oven, tmp_path: Path) -> None:
    talk, _ = dialogue(oven, tmp_path)
    talk.hear("bake lemon.cake at 200 degrees")
    talk.hear("with 250 degrees instead")
    talk.hear("undo that")
    later, _ = dialogue(oven, tmp_path)
    assert next(b["said"] for b in later.recall("last")) == "bake lemon.cake at 200 degrees"
    later.hear("again for 5 minutes")
    assert oven.baked[-1] == {"recipe": "lemon.cake", "heat": 200, "minutes": 5.0, "crust": "soft"}
    assert later.conversation == talk.conversation
    with pytest.raises(KerfError, match="--list"):
        later.recall("c99")


def test_two_verbs_that_read_alike_are_asked_about(oven: Oven, tmp_path: Path) -> None:
    verb = oven.verb()
    twin = Verb("roast", verb.call, verb.render, says=verb.says)
    context = Context({"bake": verb, "roast": twin}, Workspace(saying.folder(tmp_path)))
    (tmp_path / "lemon.cake").write_text("")
    found = understand("make lemon.cake", context)
    assert isinstance(found, Ask) and "`bake` or `roast`" in found.text


def test_names_of_files_cannot_draw_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "evil\x1b[2Jcake.sv").write_text("module m; endmodule")
    found = understand("verify the evil", Context(all_verbs(), Workspace(tmp_path)))
    assert isinstance(found, Plan) and "\x1b" not in found.text()


def test_an_answer_to_what_was_asked_back_is_taken(tmp_path: Path) -> None:
    conversation = saying.Conversation(saying.folder(tmp_path))
    assert isinstance(conversation.say("optimize the matmul for 3 minutes"), Ask)
    found = conversation.say("the small one")
    assert isinstance(found, Plan)
    assert found.steps[0].command() == "optimize matmul_small.py --minutes 3"


def kerf(*words: str, path: Path, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kerf.cli", *words],
        cwd=path, input=said, capture_output=True, text=True, timeout=60,
        env={"KERF_HOME": str(path / "home"), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def test_commands_off_a_terminal(tmp_path: Path) -> None:
    """Only reading runs at once; a plan that does more is shown and exits 1; what is not understood exits 2."""
    (tmp_path / "softmax.py").write_text(saying.MODEL)
    told = kerf("do", "list the runs", "--json", path=tmp_path)
    assert told.returncode == 0 and json.loads(told.stdout)["results"][0]["runs"] == []
    told = kerf("do", "make softmax.py twice as fast", path=tmp_path)
    assert told.returncode == 1 and "kerf optimize softmax.py" in told.stdout and "--yes" in told.stdout
    assert kerf("do", "order me a pizza", path=tmp_path).returncode == 2
    told = kerf("chat", path=tmp_path, said="list the runs\nwhat did we try?\n")
    assert told.returncode == 0 and "nothing was run yet" in told.stdout and "--resume c" in told.stdout
    assert "list the runs" in kerf("chat", "--list", path=tmp_path).stdout


def test_answers_quote_the_archive(tmp_path: Path) -> None:
    """Every number with the run it comes from; the same after a plan is undone."""
    from kerf.assistant.questions import Question, answer
    from kerf.core.records import RunState, Trial
    from kerf.core.types import Budget, Candidate, Evaluation, Status

    class Toy:
        name, key = "toy", "toykey"

        def describe(self) -> str:
            return "a toy"

    with Archive(tmp_path) as archive:
        run = archive.begin(Toy(), "k", "random", 0, Budget(), {})
        good, bad = Candidate({"a": "1"}, proposer="random"), Candidate({"a": "2"}, proposer="evolution")
        archive.record(run, "k", Trial(good, Evaluation(Status.PASSED, score=2.5), 0, 1, 1.0))
        archive.record(run, "k", Trial(bad, Evaluation(Status.WRONG, "off by one"), 0, 1, 2.0))
        archive.finish(run, RunState.DONE, 2.0, good.id)
        assert "2.50x" in answer(Question("gain"), archive, [run], 3.0)
        assert "not reached" in answer(Question("gain"), archive, [run], 3.0)
        failed = answer(Question("failed"), archive, [run])
        assert "off by one" in failed and run in failed
        assert "1 random: passed, 1 evolution: wrong" in answer(Question("tried"), archive, [])
        assert run in answer(Question("today", "today"), archive, [])
        assert run in answer(Question("best"), archive, [])
        assert "the least of 1 that passed" in answer(Question("slowest"), archive, [run])
        assert "no language model was asked" in answer(Question("spent"), archive, [run])
        archive.record_turn(run, 0, 0, {"usage": {"input_tokens": 1200, "output_tokens": 34}, "dollars": 0.5})
        assert "1,234 tokens in 1 turns, $0.5000" in answer(Question("spent"), archive, [run])
        archive.record_turn(run, 0, 1, {"usage": {"input_tokens": 1, "output_tokens": 0}, "dollars": None})
        assert "1,235 tokens in 2 turns, dollars not known" in answer(Question("spent"), archive, [run])


def test_conversations_in_the_archive(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        kept = Conversations(archive.db)
        first, second = kept.begin("one"), kept.begin("two")
        kept.add(first, {"said": "one", "n": 1})
        assert kept.read(first) == [{"said": "one", "n": 1}] and kept.read(second) == []
        assert kept.find("last").id == first and {c.title for c in kept.recent()} == {"one", "two"}
