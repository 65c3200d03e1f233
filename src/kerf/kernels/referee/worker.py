"""What runs in a worker: load one module, then call it on whatever lies in the shared pools, until told to stop.

The same loop serves candidates (forked from the zygote, sandboxed) and baselines (forked from the evaluator, trusted), so that both
carry the same overhead; an empty module measures it."""

from __future__ import annotations

import importlib.util
import mmap
import os
import socket
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import torch

from kerf.kernels.referee.claims import Trace
from kerf.kernels.referee.protocol import Fds, Spec, answer, receive, tensor_at
from kerf.kernels.tensors import flat_tensors

Call = Callable[[list[Any], list[torch.Tensor]], Any]
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
CUSHION, CUSHION_MAX = (
    4,
    1 << 29,
)  # times the outputs, bytes: memory a worker has touched before its first call


class Refused(Exception):
    """The module answers with something that is not what the reference returns."""


def serve(
    channel: socket.socket, fds: Fds, model: Any = None, writable: bool = False, entry: str = ""
) -> None:
    """Answer messages until the other side closes. `model`: a module that is already here (baselines)."""
    warnings.filterwarnings("ignore")
    torch.set_grad_enabled(False)
    state = _State(channel, fds, model, writable, entry)
    while True:
        message, _ = receive(channel)
        if message is None or message["op"] == "quit":
            return
        try:
            reply = state.handle(message)
        except BaseException as error:
            reply = _failure(error)
        answer(channel, reply)


def _failure(error: BaseException) -> dict[str, Any]:
    where = "".join(traceback.format_exception(error)[-3:])[-1500:]
    number = error.errno if isinstance(error, OSError) else None
    return {
        "ok": False,
        "kind": type(error).__name__,
        "text": str(error)[:1500],
        "where": where,
        "errno": number,
    }


class _State:
    def __init__(self, channel: socket.socket, fds: Fds, model: Any, writable: bool, entry: str) -> None:
        shared, populate = mmap.MAP_SHARED, getattr(mmap, "MAP_POPULATE", 0)
        private = mmap.MAP_PRIVATE
        size = os.fstat(fds.inputs).st_size
        prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self.inputs = mmap.mmap(
            fds.inputs, size, flags=(private if writable else shared) | populate, prot=prot
        )
        self.outputs = mmap.mmap(fds.outputs, os.fstat(fds.outputs).st_size, flags=shared | populate)
        self.params = mmap.mmap(fds.params, os.fstat(fds.params).st_size, flags=private, prot=mmap.PROT_READ)
        for fd in (fds.inputs, fds.outputs, fds.params):
            os.close(fd)
        cushion(cushion_bytes(len(self.outputs)))
        self.model, self.entry = model, entry
        self.call: Call = self._unloaded if model is None else self._module
        self.kept: list[torch.Tensor] = []

    def handle(self, message: dict[str, Any]) -> dict[str, Any]:
        operation = {
            "load": self._load,
            "weights": self._weights,
            "call": self._calls,
            "traced": self._traced,
            "recopy": self._recopy,
        }
        return operation[message["op"]](message) or {"ok": True}

    def _load(self, message: dict[str, Any]) -> None:
        torch.set_num_threads(message["threads"])
        found = _import(self.entry)
        if not hasattr(found, "ModelNew"):
            raise Refused("the entry file defines no class ModelNew")
        init = message["init"]
        self.model = found.ModelNew(**init) if isinstance(init, dict) else found.ModelNew(*init)
        self.model.train(message["training"])
        self.call = self._native if message["interface"] == "native" else self._module
        self._weights(message)

    def _weights(self, message: dict[str, Any]) -> None:
        state = {key: tensor_at(self.params, place) for key, place in message["weights"]}
        self.model.load_state_dict(state)

    def _traced(self, message: dict[str, Any]) -> dict[str, Any]:
        """A call, and which operators of torch computed in it."""
        with Trace() as trace:
            self._calls(message)
        return {"ok": True, "computing": sorted(trace.computing)[:50]}

    def _calls(self, message: dict[str, Any]) -> None:
        prepared = [
            ([self._argument(a) for a in ins], [tensor_at(self.outputs, o) for o in outs])
            for ins, outs in message["calls"]
        ]
        call, last, gap = self.call, None, _Gap(message["shift"])
        for inputs, outputs in prepared:
            last = call(inputs, outputs)
        gap.close()
        if message.get("keep") and last is not None:
            self.kept = _apart(last, prepared[-1][0])

    def _argument(self, place: Spec) -> Any:
        return place[1] if place[0] == "v" else tensor_at(self.inputs, place)

    def _recopy(self, message: dict[str, Any]) -> None:
        for source, place in zip(self.kept, message["outputs"]):
            tensor_at(self.outputs, place).copy_(source)
        self.kept = []  # a block held on to would push later calls' results to memory that was never touched

    def _native(self, inputs: list[Any], outputs: list[torch.Tensor]) -> None:
        self.model.run(*inputs, tuple(outputs))

    def _module(self, inputs: list[Any], outputs: list[torch.Tensor]) -> list[torch.Tensor]:
        results = list(flat_tensors(self.model(*inputs)))
        if len(results) != len(outputs):
            raise Refused(f"it returns {len(results)} tensors, the reference {len(outputs)}")
        for result, out in zip(results, outputs):
            if result.shape != out.shape or result.dtype != out.dtype:
                raise Refused(
                    f"it returns {result.dtype} {list(result.shape)}, the reference {out.dtype} {list(out.shape)}"
                )
            out.copy_(result)
        return results

    def _unloaded(self, inputs: list[Any], outputs: list[torch.Tensor]) -> None:
        raise Refused("nothing is loaded")


def _apart(results: list[torch.Tensor], inputs: list[Any]) -> list[torch.Tensor]:
    """The results, without those that are views of inputs: these change when the caller writes to its own memory."""
    given = {t.untyped_storage().data_ptr() for t in flat_tensors(inputs)}
    return [t.clone() if t.untyped_storage().data_ptr() in given else t for t in results]


def _import(entry: str) -> Any:
    sys.path.insert(0, os.path.dirname(entry))
    location = importlib.util.spec_from_file_location("candidate_entry", entry)
    if location is None or location.loader is None:
        raise Refused(f"{os.path.basename(entry)} is not a Python file")
    module = importlib.util.module_from_spec(location)
    sys.modules["candidate_entry"] = module
    location.loader.exec_module(module)
    return module


def steady_allocator() -> None:
    """Keep freed memory instead of giving it back to the kernel at every call: page faults would be charged to whoever allocates
    its outputs, which is eager PyTorch."""
    from kerf.sandbox.linux import libc

    if hasattr(libc(), "mallopt"):
        libc().mallopt(M_MMAP_MAX, 0)
        libc().mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def cushion_bytes(outputs: int) -> int:
    """Memory to touch beforehand, for output pools of that size."""
    return min(CUSHION * outputs, CUSHION_MAX)


def _allocator() -> Any:
    import ctypes

    from kerf.sandbox.linux import libc

    library = libc()
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
    library.sbrk.restype, library.sbrk.argtypes = ctypes.c_size_t, [ctypes.c_ssize_t]
    return library


def cushion(size: int) -> None:
    """Take `size` bytes from the allocator, touch them and give them back to it: the heap of a new process is untouched, and grows at
    odd moments while it finds its order, so that page faults would be charged to whoever is new, which is the candidate."""
    import ctypes

    library = _allocator()
    _set_aside(library)
    block = library.malloc(size)
    small = [library.malloc(1 << k) for k in range(5, 15) for _ in range(128)]
    if block:
        ctypes.memset(block, 0, size)
        library.free(block)
    for piece in small[
        ::2
    ]:  # free pieces between used ones: small objects that last need not settle behind a large result
        library.free(piece)


def _set_aside(library: Any) -> None:
    """Take what a forked process inherits as free, for good and untouched. The first write to such a page copies it, one page at a time;
    baselines, whose parent has a large heap, would get other and slower memory than candidates (10 % where outputs exceed the caches)."""
    end = library.sbrk(0)
    for length in (1 << k for k in range(26, 14, -1)):
        while (block := library.malloc(length)) and block + length <= end:
            pass
        library.free(block)


class _Gap:
    """A block that only takes room: what a call allocates lies elsewhere each time. Which pages a process got is luck that lasts as
    long as the process (6 % either way, where outputs exceed the caches); so it becomes noise within the samples, which intervals show."""

    def __init__(self, size: int) -> None:
        self.library = _allocator()
        self.block = self.library.malloc(max(64, size))

    def close(self) -> None:
        self.library.free(self.block)
