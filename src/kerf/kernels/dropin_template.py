# What the generated file does besides its constants: everything below is copied into each drop-in as it stands, so it
# imports torch and the standard library only. `dropin.py` fills in CONSTANTS (above) and STEPS (in `_execute`).
from __future__ import annotations

import base64
import collections.abc
import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
import zlib
from pathlib import Path

import torch

# <<CONSTANTS
SOURCE = "kernel.c"
FLAGS: list[str] = []
INPUTS: list[tuple[str, tuple[int, ...], torch.dtype]] = []
ORDERS: list[tuple[int, ...]] = []
VALUES: list[object] = []
OUTPUTS: list[tuple[str, tuple[int, ...], torch.dtype]] = []
OUTPUT_ORDERS: list[tuple[int, ...]] = []
RETURNS: object = 0
STATE: list[tuple[str, tuple[int, ...], torch.dtype, bool]] = []
KEPT: list[tuple[str, tuple[tuple[int, ...], torch.dtype, str]]] = []
PARAMS: list[tuple[int, str]] = []
CONSTANTS: list[tuple[int, tuple[tuple[int, ...], torch.dtype, str]]] = []
TEMPS: list[tuple[int, int, tuple[int, ...], torch.dtype]] = []
SLOTS = 0
INPUT_SLOTS: list[int] = []
OUTPUT_SLOTS: list[int] = []
HANDED: list[int] = []
WORKSPACE_BYTES = 0
SCRATCH_BYTES = 0
PACKED_BYTES: list[int] = []
THREADS = 1


def _CALLS(*args: object) -> None:  # stands for the generated statements
    """Replaced, with the call of it below."""


# CONSTANTS>>


def _library() -> ctypes.CDLL:
    """kernel.so beside this file if it is up to date, else compiled once into the user's cache folder."""
    folder = Path(__file__).resolve().parent
    source, beside = folder / SOURCE, (folder / SOURCE).with_suffix(".so")
    if beside.exists() and (not source.exists() or beside.stat().st_mtime >= source.stat().st_mtime):
        return ctypes.CDLL(str(beside))
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError(f"no C compiler found to build {source}: install gcc or clang, or set CC")
    key = hashlib.sha256(source.read_bytes() + repr((FLAGS, compiler, _cpu())).encode()).hexdigest()[:24]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kerf-dropins"
    built = cache / f"{key}.so"
    if not built.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = Path(scratch) / "kernel.so"
            command = [compiler, *FLAGS, "-shared", "-fPIC", "-o", str(made), str(source), "-lm"]
            said = subprocess.run(command, capture_output=True, text=True)
            if said.returncode:
                raise RuntimeError(f"could not compile {source}:\n{said.stderr}")
            os.replace(made, built)
    return ctypes.CDLL(str(built))


def _cpu() -> str:
    """-march=native code belongs to one kind of CPU: its flags are part of the cache key."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


_LIB = _library()
_VIEW_AS = {torch.bool: torch.uint8}


def _aligned(size: int) -> torch.Tensor:
    """`size` bytes at a 64-byte boundary."""
    raw = torch.empty(size + 64, dtype=torch.uint8)
    shift = -raw.data_ptr() % 64
    return raw[shift : shift + size]


def _usable(t: torch.Tensor) -> torch.Tensor:
    """The tensor as the kernels read it: contiguous, 64-byte aligned, not a conjugate or negative in name only; a copy where it is not."""
    if t.is_contiguous() and t.data_ptr() % 64 == 0 and not t.is_conj() and not t.is_neg():
        return t
    t = t.detach().resolve_conj().resolve_neg().contiguous()
    return t if t.data_ptr() % 64 == 0 or t.numel() == 0 else _copy(t)


def _seen(t: torch.Tensor, shape: tuple[int, ...], strides: tuple[int, ...], start: int) -> torch.Tensor:
    """Elements of it at regular steps."""
    return t.as_strided(shape, strides, t.storage_offset() + start)


def _pairs(t: torch.Tensor) -> torch.Tensor:
    """Complex numbers as they lie in memory: a last dimension of 2."""
    return torch.view_as_real(t) if t.is_complex() else t


def _copy(t: torch.Tensor) -> torch.Tensor:
    room = _aligned(t.numel() * t.element_size()).view(t.dtype).view(t.shape)
    room.copy_(t)
    return room


def _ordered(t: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """Its dimensions as they lie in memory."""
    return t.permute(order) if order else t


def _strides(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """Those of a tensor without gaps whose dimensions lie in that order in memory."""
    found, step = [0] * len(shape), 1
    for d in reversed(order or range(len(shape))):
        found[d], step = step, step * shape[d]
    return tuple(found)


_READ = [(_strides(s, o), o) for (_, s, _), o in zip(INPUTS, ORDERS or [()] * len(INPUTS))]
_MADE = [(s, _strides(s, o), t, o) for (_, s, t), o in zip(OUTPUTS, OUTPUT_ORDERS or [()] * len(OUTPUTS))]


def _readable(t: torch.Tensor, strides: tuple[int, ...], order: tuple[int, ...]) -> torch.Tensor:
    """The tensor with its elements where the kernels look for them; a copy where they are not. In the way of every call: kept short."""
    if t.stride() == strides and t.data_ptr() % 64 == 0 and not t.is_conj() and not t.is_neg():
        return t
    made = _usable(_ordered(t, order))
    return made.permute([order.index(d) for d in range(len(order))]) if order else made


def _outputs() -> list[torch.Tensor]:
    """Memory for the results of a call."""
    return [torch.empty_strided(shape, strides, dtype=dtype) for shape, strides, dtype, _ in _MADE]


def _handed(given: torch.Tensor | None, made: torch.Tensor) -> torch.Tensor:
    """A result that a library made: into the memory that the caller gives, or as it is."""
    return made if given is None else given.copy_(made)


def _tensor_leaves(values: collections.abc.Iterable[object]) -> list[object]:
    """What lies in nested lists, tuples and dictionaries, in order."""
    found: list[object] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensor_leaves(value)
        elif isinstance(value, dict):
            found += _tensor_leaves(value.values())
        else:
            found.append(value)
    return found


def _tensors(leaves: list[object]) -> list[torch.Tensor]:
    return [x for x in leaves if isinstance(x, torch.Tensor)]


class ModelNew(torch.nn.Module):
    """Drop-in for the module it was built from: same state dict, same results within the stated tolerance.

    Inference only and for the shapes in INPUTS. A call it was not built for (other shapes or dtypes, a gradient needed) raises
    ValueError, or goes to `original` when constructed with `otherwise="original"`. Constructor arguments of the original
    are accepted and ignored: all sizes are built in. Weights come from `load_state_dict` (or `from_module`); they are packed
    at the first call, and again whenever they change."""

    def __init__(
        self,
        *args: object,
        original: torch.nn.Module | None = None,
        otherwise: str = "refuse",
        **kwargs: object,
    ) -> None:
        super().__init__()
        if otherwise not in ("refuse", "original") or (otherwise == "original" and original is None):
            raise ValueError("otherwise must be 'refuse', or 'original' together with original=MODULE")
        for key, shape, dtype, trained in STATE:
            _register(self, key, torch.zeros(shape, dtype=dtype), trained)
        for key, start in KEPT:
            _register(self, key, _decoded(*start), False, persistent=False)
        self._original, self._otherwise = (original,), otherwise  # in a tuple: not a submodule
        self._homes = [_home(self, key) for _, key in PARAMS]
        self._lock = threading.Lock()
        self._ready: tuple[object, ...] | None = None

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles carry the weights; memory and packed weights are made again at their first call."""
        return {k: v for k, v in self.__dict__.items() if k not in _MADE_AT_FIRST_CALL}

    def __setstate__(self, state: dict[str, object]) -> None:
        super().__setstate__(state)
        self._homes = [_home(self, key) for _, key in PARAMS]
        self._lock, self._ready = threading.Lock(), None

    @classmethod
    def from_module(cls, original: torch.nn.Module, otherwise: str = "original") -> ModelNew:
        """A drop-in with `original`'s weights (shared, not copied)."""
        new = cls(original=original, otherwise=otherwise)
        new.load_state_dict(original.state_dict(), assign=True)
        for key, _ in KEPT:
            new._state(key).copy_(_reached(original, key))
        return new

    def forward(self, *args: object, **kwargs: object) -> object:
        leaves = _tensor_leaves((*args, *kwargs.values()) if kwargs else args)
        tensors = _tensors(leaves)
        problem = self._unfit(leaves, tensors)
        if problem:
            return self._elsewhere(problem, args, kwargs)
        out = [
            None if i in HANDED else torch.empty_strided(shape, strides, dtype=dtype)
            for i, (shape, strides, dtype, _) in enumerate(_MADE)
        ]
        self._call(tensors, out)
        return _shaped(RETURNS, out)

    def run(self, *args: object) -> None:
        """run(*inputs, out): destination-passing form; `out` is a tuple of tensors as in OUTPUTS (those that lie in memory as the original's
        results do are written directly)."""
        *inputs, last = args
        out: tuple[torch.Tensor, ...] = last  # type: ignore[assignment]
        direct: list[torch.Tensor | None] = [
            t
            if t.stride() == strides or _ordered(t, order).is_contiguous()
            else torch.empty_strided(shape, strides, dtype=dtype)
            for t, (shape, strides, dtype, order) in zip(out, _MADE, strict=True)
        ]
        self._call(_tensors(_tensor_leaves(inputs)), direct)
        for given, made in zip(out, direct, strict=True):
            if made is not None and given is not made:
                given.copy_(made)

    def _call(self, tensors: list[torch.Tensor], out: list[torch.Tensor | None]) -> None:
        usable = [_readable(t, strides, order) for t, (strides, order) in zip(tensors, _READ, strict=True)]
        with self._lock:
            self._prepare()
            self._execute(usable, out)

    # ------------------------------------------------------------ what a call must be like

    def _unfit(self, leaves: list[object], tensors: list[torch.Tensor]) -> str:
        """Why these arguments, `tensors` among them, cannot be served; "" when they can. In the way of every call: kept short."""
        if len(tensors) != len(INPUTS):
            return f"built for {len(INPUTS)} tensor arguments, got {len(tensors)}"
        for t, (name, shape, dtype) in zip(tensors, INPUTS, strict=True):
            if t.shape != shape or t.dtype != dtype or not t.is_cpu:
                return f"built for {name}: {dtype} {list(shape)} on cpu, got {t.dtype} {list(t.shape)} on {t.device}"
        if len(leaves) - len(tensors) != len(VALUES) or (
            VALUES and [x for x in leaves if not isinstance(x, torch.Tensor)] != VALUES
        ):
            return f"built for the plain arguments {VALUES}"
        if torch.is_grad_enabled() and any(t.requires_grad for t in (*tensors, *self.parameters())):
            return "no gradient can be computed through it: call it under torch.no_grad() or torch.inference_mode()"
        return ""

    def _elsewhere(self, problem: str, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        original = self._original[0]
        if self._otherwise != "original" or original is None:
            raise ValueError(problem)
        for key, _ in KEPT:  # it goes on from where this is, and this from where it ends
            path, _, name = key.rpartition(".")
            setattr(original.get_submodule(path), name, self._state(key).clone())
        result = original(*args, **kwargs)
        for key, _ in KEPT:
            self._state(key).copy_(_reached(original, key))
        return result

    # ------------------------------------------------------------ memory

    def _state(self, key: str) -> torch.Tensor:
        return _reached(self, key)

    def _prepare(self) -> None:
        """Allocate once; pack the weights at the first call and whenever they have changed."""
        stamp = self._stamp()
        if self._ready == stamp:
            return
        sources = [self._state(key) for _, key in PARAMS]
        if self._ready is None:
            self._workspace, self._scratch = _aligned(WORKSPACE_BYTES), _aligned(SCRATCH_BYTES + 64)
            self._scratch_at = ctypes.c_void_p(self._scratch.data_ptr())
            self._packed_room = [_aligned(size) for size in PACKED_BYTES]
            self._packed = (ctypes.c_void_p * max(1, len(PACKED_BYTES)))(
                *(t.data_ptr() for t in self._packed_room)
            )
            self._table = (ctypes.c_void_p * max(1, SLOTS))()
            self._constants = {slot: _usable(_decoded(*constant)) for slot, constant in CONSTANTS}
            self._temps = {slot: self._temp(at, shape, dtype) for slot, at, shape, dtype in TEMPS}
        self._weights = {slot: _usable(t) for (slot, _), t in zip(PARAMS, sources, strict=True)}
        for slot, t in (*self._weights.items(), *self._constants.items(), *self._temps.items()):
            self._table[slot] = t.data_ptr()
        _LIB.kerf_pack(self._table, self._packed)
        self._ready = stamp

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        """Changes when somebody changes a weight."""
        return tuple([(t.data_ptr(), t._version) for t in [home[name] for home, name in self._homes]])

    def _written_back(self, keys: tuple[str, ...]) -> None:
        """The call itself changed this state, none of which is packed: look at it again, but leave the rest as it is."""
        for slot, key in PARAMS:
            if key in keys:
                self._weights[slot] = _usable(self._state(key))
                self._table[slot] = self._weights[slot].data_ptr()
        self._ready = self._stamp()

    def _temp(self, offset: int, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        size = torch.Size(shape).numel() * dtype.itemsize
        return self._workspace[offset : offset + size].view(dtype).view(shape)

    def _execute(self, tensors: list[torch.Tensor], out: list[torch.Tensor | None]) -> None:
        table, packed = self._table, self._packed
        threads, scratch = max(1, min(torch.get_num_threads(), THREADS)), self._scratch_at
        for slot, t in zip(INPUT_SLOTS, tensors, strict=True):
            table[slot] = t.data_ptr()
        for slot, room in zip(OUTPUT_SLOTS, out, strict=True):
            if slot >= 0 and room is not None:
                table[slot] = room.data_ptr()
        _CALLS(table, packed, scratch, threads, tensors, out)  # <<STEPS>>


_MADE_AT_FIRST_CALL = (
    "_homes", "_lock", "_ready", "_workspace", "_scratch", "_scratch_at", "_packed_room", "_packed", "_table", "_constants", "_temps", "_weights",
)  # fmt: skip


def _home(module: torch.nn.Module, key: str) -> tuple[dict[str, torch.Tensor], str]:
    """The dictionary that holds the tensor of a state-dict key, and its name there."""
    path, _, name = key.rpartition(".")
    owner = module.get_submodule(path)
    return (owner._parameters if name in owner._parameters else owner._buffers), name  # type: ignore[return-value]


def _shaped(structure: object, out: list[torch.Tensor | None]) -> object:
    """The results as forward() returns them: a number stands for that output."""
    if isinstance(structure, dict):
        return {k: _shaped(v, out) for k, v in structure.items()}
    if isinstance(structure, list | tuple):
        made = [_shaped(v, out) for v in structure]
        return getattr(structure, "_make", type(structure))(made)
    return out[structure] if isinstance(structure, int) else None


def _reached(module: torch.nn.Module, key: str) -> torch.Tensor:
    path, _, name = key.rpartition(".")
    return getattr(module.get_submodule(path), name)


def _register(
    module: torch.nn.Module, key: str, value: torch.Tensor, trained: bool, persistent: bool = True
) -> None:
    """Put `value` at the dotted state-dict key, making the containers on the way."""
    *path, name = key.split(".")
    for part in path:
        if part not in module._modules:
            module.add_module(part, torch.nn.Module())
        module = module._modules[part]  # type: ignore[assignment]
    if trained:
        module.register_parameter(name, torch.nn.Parameter(value, requires_grad=False))
    else:
        module.register_buffer(name, value, persistent=persistent)


def _decoded(shape: tuple[int, ...], dtype: torch.dtype, data: str) -> torch.Tensor:
    """A constant of the original module that its state dict does not hold."""
    raw = bytearray(zlib.decompress(base64.b85decode(data)))
    if not raw:
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(raw, dtype=dtype).view(shape)
