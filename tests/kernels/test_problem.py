"""Problems load, take overrides where sizes are bound, and refuse what cannot be judged with a message that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kerf.core.types import KerfError
from kerf.kernels import sizing
from kerf.kernels.build import library_candidate
from kerf.kernels.copying import copied
from kerf.kernels.problem import fake_cost, from_module, load_problem, load_text
from kerf.kernels.problem_file import ProblemFile, execute

LINEAR = """
import torch
from torch import nn

batch_size = 8
in_features, out_features = (32, 48)
shape = (batch_size, in_features)
scale = 0.5
kernel = [3, 5]


class Model(nn.Module):
    def __init__(self, a, b):
        super(Model, self).__init__()
        self.linear = nn.Linear(a, b)

    def forward(self, x):
        return self.linear(x) * scale


def get_inputs():
    return [torch.rand(*shape)]


def get_init_inputs():
    return [in_features, out_features]
"""


def body(forward: str, inputs: str = "[torch.rand(4, 8)]", extra: str = "") -> str:
    return f"import torch\n{extra}\nn = 8\nclass Model(torch.nn.Module):\n    def forward(self, x):\n        {forward}\ndef get_inputs():\n    return {inputs}\n"


def test_overrides_reach_what_depends_on_them() -> None:
    problem = load_text(LINEAR, {"batch_size": "3", "out_features": 7, "kernel[1]": 9, "scale": "0.25"})
    assert problem.inputs()[0].shape == (3, 32) and problem.module(problem.inputs()[0]).shape == (3, 7)
    assert problem.sizes == {
        "batch_size": 3,
        "in_features": 32,
        "out_features": 7,
        "kernel[0]": 3,
        "kernel[1]": 9,
    }


def test_weights_and_inputs_follow_the_seed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b, c = load_text(LINEAR), load_text(LINEAR), load_text(LINEAR, seed=1)
    assert torch.equal(a.module.linear.weight, b.module.linear.weight)
    assert not torch.equal(a.module.linear.weight, c.module.linear.weight)
    assert torch.equal(a.inputs()[0], b.inputs()[0]) and not torch.equal(a.inputs()[0], a.inputs(9)[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_key_names_source_sizes_and_seed() -> None:
    keys = {
        load_text(LINEAR).key,
        load_text(LINEAR, {"batch_size": 9}).key,
        load_text(LINEAR, seed=1).key,
        load_text(LINEAR + "\n# x").key,
    }
    assert len(keys) == 4 and load_text(LINEAR, {"batch_size": "9"}).key in keys


def test_the_mode_stays_as_the_file_leaves_it() -> None:
    text = body("return self.norm(x)").replace(
        "    def forward",
        "    def __init__(self):\n        super().__init__()\n        self.norm = torch.nn.BatchNorm1d(8)\n    def forward",
    )
    problem = load_text(text)
    assert problem.module.training
    problem.fresh_module()(*problem.inputs())
    assert int(problem.module.norm.num_batches_tracked) == 0
    assert (
        load_text(
            text
            + "\n_i = Model.__init__\ndef _e(self):\n    _i(self)\n    self.eval()\nModel.__init__ = _e\n"
        ).module.training
        is False
    )


@pytest.mark.parametrize(
    ("text", "overrides", "says"),
    [
        (LINEAR, {"batchsize": 4}, r"no size named batchsize.*The names that exist: batch_size, in_features"),
        (LINEAR, {"batch_size": 1 << 40}, r"GiB is free\. Shrink it with --set; its sizes: batch_size="),
        ("def f(:", {}, r"line 1: not valid Python"),
        ("x = 1", {}, r"does not define Model and get_inputs"),
        (body("return x", extra="import not_a_module"), {}, r"pip install not_a_module"),
        (body("return x", extra="1 / 0"), {}, r"ZeroDivisionError: division by zero \(line 2\)"),
        (body("return torch.nn.functional.dropout(x, 0.5)"), {}, r"the reference is random"),
        (body("return x + torch.rand_like(x)"), {}, r"the reference is random"),
        (body("return 3"), {}, r"returns int, not a tensor"),
        (body("return x @ x"), {}, r"forward\(\) raised RuntimeError.*\(line 6\)"),
        (body("return x", inputs="torch.rand(3)"), {}, r"must return a list"),
        (body("return x", inputs="[[torch.rand(3)]]"), {}, r"argument 0 is a list"),
        (body("return x", inputs="[1.0]"), {}, r"no tensor among the arguments"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused(text: str, overrides: dict[str, int], says: str) -> None:
    with pytest.raises(KerfError, match="(?s)" + says):
        load_text(text, overrides)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(KerfError, match="does not exist"):
        load_problem(tmp_path / "no.py")
    with pytest.raises(KerfError, match="is a folder"):
        load_problem(tmp_path)


def test_dropout_that_does_nothing_is_not_random() -> None:
    load_text(body("return torch.nn.functional.dropout(x, 0.0)"))
    load_text(body("return torch.nn.functional.dropout(x, 0.5, training=False)"))


def test_data_dependent_references_load() -> None:
    assert load_text(body("return x * x.max().item()")).cost.returned == "tensor"


def test_costs_are_counted_without_running() -> None:
    flops, moved = load_text(LINEAR).flops_bytes()
    assert load_text(LINEAR).products == 2 * 8 * 32 * 48
    assert 2 * 8 * 32 * 48 <= flops <= 2 * 8 * 32 * 48 + 4 * 8 * 48
    assert moved == 4 * (8 * 32 + 32 * 48 + 48 + 8 * 48)


def test_ragged_sizes_run_and_differ() -> None:
    problem = load_text(LINEAR)
    for k in range(3):
        odd = problem.ragged(k)
        assert odd is not None and odd.inputs()[0].shape != problem.inputs()[0].shape
        assert odd.module(*odd.inputs()).isfinite().all()
    assert problem.ragged(1).inputs()[0].shape[0] == 1  # type: ignore[union-attr]


def test_ragged_keeps_what_the_architecture_needs() -> None:
    heads = body(
        "return x.view(x.shape[0], 4, -1) * torch.ones(4, n // 4)", inputs="[torch.rand(6, n)]"
    ).replace("n = 8", "n = 64")
    assert load_text(heads).ragged(0) is None


def test_from_module() -> None:
    module = nn.Linear(8, 4)
    example = torch.randn(6, 8)
    problem = from_module(module, [example])
    assert torch.equal(problem.inputs()[0], example) and not torch.equal(problem.inputs(3)[0], example)
    assert problem.inputs(3)[0].shape == (6, 8) and problem.ragged(0) is None
    assert problem.key != from_module(nn.Linear(8, 4), [example]).key
    with pytest.raises(KerfError, match=r"torch\.nn\.Module"):
        from_module(torch.relu, [example])  # type: ignore[arg-type]


def test_shrinking_fits_the_budget_without_allocating(tmp_path: Path) -> None:
    path = tmp_path / "big.py"
    path.write_text(
        LINEAR.replace("batch_size = 8", "batch_size = 1 << 22").replace("(32, 48)", "(8192, 8192)")
    )
    found = sizing.shrink(path, 1 << 20, 1e8)
    cost = load_problem(path, found).cost
    assert cost.bytes <= 1 << 20 and cost.flops <= 1e8
    assert sizing.shrink(path, 1 << 20, 1e8, found) == {}


def test_no_ragged_form_where_the_model_itself_reads_the_sizes() -> None:
    body = "import torch\nwidth = 24\n\nclass Model(torch.nn.Module):\n    def __init__(self{0}):\n        super().__init__()\n        self.fc = torch.nn.Linear(width, width)\n\n    def forward(self, x):\n        return self.fc(x)\n\ndef get_inputs():\n    return [torch.randn(40, width)]\n\ndef get_init_inputs():\n    return [{1}]\n"
    odd = load_text(body.format("", "")).ragged(0)
    assert odd is None or "width" not in odd.overrides
    assert load_text(body.format(", width", "width")).ragged(0) is not None


def test_the_library_as_a_candidate_has_the_overrides_that_its_classes_read() -> None:
    problem = load_text(LINEAR, {"scale": "0.25", "out_features": 7})
    candidate = library_candidate(problem)
    assert candidate is not None
    namespace: dict[str, Any] = {}
    exec(candidate.files["kernel.py"], namespace)
    assert namespace["scale"] == 0.25 and namespace["get_init_inputs"]()[-1] == 7
    assert "ModelNew" in namespace and LINEAR.splitlines()[0] in candidate.files["kernel.py"]


def test_a_constructor_that_reads_values_still_has_a_cost() -> None:
    made = "    def __init__(self):\n        super().__init__()\n        self.rates = [r.item() for r in torch.linspace(0, 1, 3)]\n    def forward(self, x):\n        return x * self.rates[1]\n"
    text = f"import torch\nclass Model(torch.nn.Module):\n{made}def get_inputs():\n    return [torch.rand(4, 8)]\n"
    found = fake_cost(execute(ProblemFile(text), {}))
    assert found is not None and found.input_bytes == 4 * 8 * 4


def test_a_copy_of_a_module_keeps_no_function_that_uses_the_original() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(3, 3)
            line, scale = self.line, 2.0
            self.made = lambda x: line(x) * scale
            self.plain = torch.relu

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.plain(self.made(x))

    original, x = Block(), torch.randn(4, 3)
    before = original(x)
    other = copied(original)
    with torch.no_grad():
        other.line.weight.fill_(1.0)
        other.line.bias.fill_(0.5)
    assert torch.allclose(other(x), torch.relu(2 * (x.sum(1, keepdim=True) + 0.5)).expand(4, 3))
    assert torch.equal(original(x), before)
    assert copied(original).double()(x.double()).dtype is torch.float64
