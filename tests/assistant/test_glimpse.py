"""What a placement verb would refuse is asked back before a plan is shown, with what would do."""

from __future__ import annotations

from pathlib import Path

import pytest
import saying

from kerf.assistant.grammar import Ask
from kerf.assistant.plan import Plan

NODES = "UCLA nodes 1.0\nNumNodes : 3\nNumTerminals : 0\n  L1_cache_0 4 2\n  rom_1 4 2\n  u7 1 2 terminal\n"
DEF = "VERSION 5.8 ;\nCOMPONENTS 2 ;\n- top/ram_0 SRAM + PLACED ( 0 0 ) N ;\n- u1 NAND2 ;\nEND COMPONENTS\n"
PB = 'node {\n  name: "core/dcache_0"\n}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ct").mkdir()
    files = {
        "a.aux": "RowBasedPlacement : a.nodes a.nets a.pl",
        "a.nodes": NODES,
        "b.def": DEF,
        "ct/netlist.pb.txt": PB,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("design", "there", "missing", "near"),
    [
        ("a.aux", "caches", "cacheboxes", "cache"),
        ("b.def", "rams", "roms", "ram"),
        ("ct/netlist.pb.txt", "dcache", "icache", "dcache"),
    ],
)
def test_cells_that_a_design_has_not_are_asked_about(
    folder: Path, design: str, there: str, missing: str, near: str
) -> None:
    found = saying.Conversation(folder).say(f"place {design} with the {there} on the left edge")
    assert isinstance(found, Plan), found
    asked = saying.Conversation(folder).say(f"place {design} with the {missing} on the left edge")
    assert isinstance(asked, Ask) and "has no cell" in asked.text and near in asked.text


def test_a_change_is_looked_at_too(folder: Path) -> None:
    talk = saying.Conversation(folder)
    talk.say("place a.aux with the caches on the left edge")
    assert isinstance(talk.say("also keep the unicorns on the right edge"), Ask)
    assert isinstance(talk.say("also keep the roms on the right edge"), Plan)


def test_every_cell_of_a_list_is_looked_for(folder: Path) -> None:
    talk = saying.Conversation(folder)
    found = talk.say("place a.aux with L1_cache_0 and rom_1 within 30 of each other")
    assert isinstance(found, Plan)
    assert found.steps[0].arguments["constraint"] == ["group L1_cache_0 rom_1 within 30"]
    asked = talk.say("place a.aux with L1_cache_0 and rom_9 within 30 of each other")
    assert isinstance(asked, Ask) and "no cell 'rom_9'" in asked.text
