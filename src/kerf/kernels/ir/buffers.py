"""What ops read and write, and the loops they run over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import prod


class DType(StrEnum):
    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    I64 = "i64"
    I32 = "i32"
    I16 = "i16"
    I8 = "i8"
    U8 = "u8"
    BOOL = "bool"

    @property
    def bytes(self) -> int:
        return {"f64": 8, "i64": 8, "f32": 4, "i32": 4, "f16": 2, "bf16": 2, "i16": 2}.get(self.value, 1)

    @property
    def is_float(self) -> bool:
        return self in (DType.F64, DType.F32, DType.F16, DType.BF16)

    @property
    def compute(self) -> DType:
        """The type in which arithmetic on values stored as this type is done."""
        return DType.F32 if self in (DType.F16, DType.BF16) else self


class Role(StrEnum):
    INPUT = "input"  # an argument of forward()
    PARAM = "param"  # a parameter, buffer or constant of the module; `source` is its state-dict key
    TEMP = "temp"  # lives inside one call
    OUTPUT = "output"  # returned, or written back to the module's state


@dataclass(frozen=True)
class Buffer:
    """A contiguous row-major array. `shape` in elements; `()` is a scalar. `order`: the dimensions of the tensor that a caller hands
    over, outermost in memory first, where that is another than their own (channels last, a transposed matrix). `pairs`: that tensor is
    complex, its real and imaginary parts the last dimension of this."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    role: Role = Role.TEMP
    source: str = ""
    order: tuple[int, ...] = ()
    pairs: bool = False

    @property
    def given(self) -> tuple[int, ...]:
        """The shape of the caller's tensor."""
        shape = tuple(self.shape[self.order.index(d)] for d in range(len(self.order))) or self.shape
        return shape[:-1] if self.pairs else shape

    @property
    def given_order(self) -> tuple[int, ...]:
        """`order`, of the dimensions that the caller's tensor has."""
        return self.order[:-1] if self.pairs else self.order

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * self.dtype.bytes

    @property
    def strides(self) -> tuple[int, ...]:
        """Row-major strides in elements."""
        out, step = [], 1
        for extent in reversed(self.shape):
            out.append(step)
            step *= extent
        return tuple(reversed(out))


@dataclass(frozen=True)
class Axis:
    """A loop over range(extent)."""

    name: str
    extent: int
