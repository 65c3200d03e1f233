"""Repaired forms of a degenerate problem: its file with other inputs, parameters or output scale appended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kerf.core.types import KerfError
from kerf.kernels.contract import Rule
from kerf.kernels.problem import KernelProblem

SUFFIX = "_hardened"

_HEAD = """

# ---- Hardened by `kerf audit`: with the inputs above, an answer that computes nothing would pass. ----
"""

_INPUTS = """
_kerf_given_inputs = get_inputs


def get_inputs():
    args = list(_kerf_given_inputs())
{lines}
    return args
"""

_PARAMETERS = '''
_kerf_init = Model.__init__


def _kerf_drawn_init(self, *args, **kwargs):
    """Parameters that start as one constant (a bias of zeros) are drawn, so that leaving them out shows."""
    _kerf_init(self, *args, **kwargs)
    with torch.no_grad():
        for p in self.parameters():
            if p.numel() > 1 and bool((p == p.flatten()[0]).all()):
                p.add_(torch.randn_like(p) * 0.5)


Model.__init__ = _kerf_drawn_init
'''

_DROPOUT = '''
_kerf_dropout_init = Model.__init__


def _kerf_sure_init(self, *args, **kwargs):
    """Without dropout, whose random mask no answer can know."""
    _kerf_dropout_init(self, *args, **kwargs)
    for m in self.modules():
        if isinstance(m, torch.nn.modules.dropout._DropoutNd):
            m.p = 0.0


Model.__init__ = _kerf_sure_init
'''

_OUTPUT = '''
_kerf_forward = Model.forward


def _kerf_scaled_forward(self, *args):
    """The output brought to a scale that tolerances can see."""
    return _kerf_forward(self, *args) * {scale!r}


Model.forward = _kerf_scaled_forward
'''


def repairs(problem: KernelProblem) -> Iterator[str]:
    """Texts of repaired problems, from the mildest on."""
    base = problem.source.rstrip() + _HEAD + ("" if "import torch\n" in problem.source else "import torch\n")
    if problem.cost.random:
        base += _DROPOUT
        yield base
    mild, wide = _inputs(problem, 1.0, rows=False), _inputs(problem, 4.0, rows=True)
    yield base + mild
    yield base + wide
    yield base + _PARAMETERS + mild
    yield base + _PARAMETERS + wide
    for scale in (1e3, 1e6):
        yield base + _OUTPUT.format(scale=scale) + mild
        yield base + _PARAMETERS + _OUTPUT.format(scale=scale) + wide


def _inputs(problem: KernelProblem, scale: float, *, rows: bool) -> str:
    lines = [line for i, rule in enumerate(problem.contract.rules) if (line := _redraw(i, rule, scale, rows))]
    return _INPUTS.format(lines="\n".join(f"    {line}" for line in lines)) if lines else ""


def _redraw(i: int, rule: Rule, scale: float, rows: bool) -> str:
    """A statement that draws argument i anew within its contract, or "" where the contract leaves no room."""
    if not rule.is_float or rule.domain not in ("real", "positive"):
        return ""
    value = f"torch.randn_like(args[{i}])" + (f" * {scale}" if scale != 1.0 else "")
    if rows and len(rule.shape) > 1 and not rule.structure:
        ones = ", ".join("1" for _ in rule.shape[1:])
        value += f" * torch.exp2(torch.randint(-2, 3, (args[{i}].shape[0], {ones})).float())"
    if rule.domain == "positive":
        return f"args[{i}] = ({value}).abs() + 1e-3"
    wrapped = {
        "": "{}", "probability": f"({{}}).softmax(dim={rule.dim})", "lower": "torch.tril({})", "upper": "torch.triu({})",
        "diagonal": "torch.diag_embed(torch.diagonal({}, dim1=-2, dim2=-1))", "sorted": f"({{}}).sort(dim={rule.dim}).values",
    }.get(rule.structure)  # fmt: skip
    return f"args[{i}] = {wrapped.format(value)}" if wrapped else ""


def write(problem: KernelProblem, text: str, folder: Path | None = None) -> Path:
    """Write NAME_hardened.py into `folder`, else beside the problem."""
    place = folder or (problem.path.parent if problem.path else Path.cwd())
    target = place / f"{problem.file.name if problem.file and problem.path else problem.name}{SUFFIX}.py"
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KerfError(
            f"cannot write the hardened form to {target}: {error}. Choose a folder that can be written."
        ) from error
    return target
