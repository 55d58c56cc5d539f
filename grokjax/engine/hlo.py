"""What a compiled program does in a step, read off the compiler's text.

Text in, numbers out; no JAX. A kernel is an instruction of the loop's body that a device starts:
its bytes are those that it reads and writes, of an operand that it only takes slices or rows of
what it takes, and its FLOPs those of its matrix products. A loop inside is counted as often as the
text says that it runs.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence

BYTES = {
    **dict.fromkeys(("pred", "s8", "u8"), 1),
    **dict.fromkeys(("bf16", "f16", "s16", "u16"), 2),
    **dict.fromkeys(("f32", "s32", "u32"), 4),
    **dict.fromkeys(("f64", "s64", "u64"), 8),
}
FREE = {
    *("parameter", "get-tuple-element", "tuple", "constant", "bitcast", "after-all", "iota"),
    *("partition-id", "opt-barrier"),
}
"""Instructions that no device starts anything for."""
VIEWS = {"bitcast", "reshape", "get-tuple-element"}
PARTS = {"slice", "dynamic-slice", "gather"}
"""Instructions that read a part of their first operand."""

_HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{")
_ROW = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (\(.*?\)(?= [\w\-]+\()|\S+) ([\w\-]+)\((.*)")
_ARRAY = re.compile(r"\b(" + "|".join(BYTES) + r")\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A line of a computation."""

    name: str
    kind: str
    """Shape of its result, as text."""
    op: str
    inside: str
    """What stands in its parentheses."""
    rest: str
    """Its attributes, as text."""
    is_root: bool

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of the instructions that it takes."""
        return tuple(re.findall(r"%([\w.\-]+)", self.inside))

    def called(self, attribute: str) -> list[str]:
        """Computations that an attribute names."""
        return re.findall(rf"\b{attribute}=%?([\w.\-]+)", self.rest)

    @property
    def label(self) -> str:
        """Where in the source it comes from."""
        found = re.search(r'op_name="([^"]*)"', self.rest)
        return found[1] if found else self.name


@dataclasses.dataclass(frozen=True)
class Kernel:
    """Something that a device starts once a step."""

    op: str
    shape: str
    label: str
    bytes: int
    whole_bytes: int
    """With every operand counted whole, however little of it is read."""
    flops: int
    times: int


Program = Mapping[str, Sequence[Instruction]]
OwnFlops = Callable[[str, list[list[int]]], int]


def parse(text: str) -> dict[str, list[Instruction]]:
    """Name → instructions of every computation of a compiled program."""
    found: dict[str, list[Instruction]] = {}
    current: list[Instruction] | None = None
    for line in text.splitlines():
        if head := _HEAD.match(line):
            current = found.setdefault(head[1], [])
        elif line.startswith("}"):
            current = None
        elif current is not None and (row := _ROW.match(line)):
            current.append(Instruction(row[2], row[3], row[4], *_split(row[5]), bool(row[1])))
    return found


def step_kernels(text: str, updates: int, own_flops: OwnFlops) -> list[Kernel]:
    """The kernels of one training step: the body of the loop that makes so many updates.

    Args:
      text: of the compiled segment.
      updates: of the loop, which tells it from others.
      own_flops: of a kernel that no compiler made, from its label and the shapes of its operands.
    """
    program = parse(text)
    bodies = [
        loop.called("body")[0]
        for rows in program.values()
        for loop in rows
        if loop.op == "while" and trips(loop, program) == updates
    ]
    if not bodies:
        raise ValueError(f"no loop of {updates} updates in the compiled text")
    kernels = [_kernels(body, program, own_flops) for body in bodies]
    return max(kernels, key=lambda found: sum(kernel.bytes for kernel in found))


def trips(loop: Instruction, program: Program) -> int | None:
    """How often a loop runs, if the text says so."""
    if known := re.search(r"known_trip_count[^\d]*(\d+)", loop.rest):
        return int(known[1])
    condition = program.get(loop.called("condition")[0], ())
    bounds = [int(row.inside) for row in condition if row.op == "constant" and row.inside.isdigit()]
    return bounds[0] if len(bounds) == 1 else None


def size(kind: str) -> int:
    """Bytes of a shape, or of all shapes of a tuple."""
    arrays = _ARRAY.findall(kind)
    return sum(BYTES[dtype] * math.prod(_dims(dims)) for dtype, dims in arrays)


def _kernels(body: str, program: Program, own_flops: OwnFlops, times: int = 1) -> list[Kernel]:
    found = []
    kinds = {row.name: row.kind for row in program[body]}
    for row in program[body]:
        if row.op in FREE:
            continue
        if row.op == "while":
            inside = trips(row, program) or 1
            found += _kernels(row.called("body")[0], program, own_flops, times * inside)
            continue
        if row.op == "call":
            found += _kernels(row.called("to_apply")[0], program, own_flops, times)
            continue
        written = size(row.kind)
        whole = written + sum(size(kinds.get(operand, "")) for operand in row.operands)
        flops = 0
        if row.op == "custom-call":
            flops = own_flops(row.label, [_shape(kinds.get(x, "")) for x in row.operands])
        shape = row.kind.split("{")[0].lstrip("(")
        moved = _moved(row, kinds, program)
        flops += _flops(row, kinds, program)
        found.append(Kernel(row.op, shape, row.label, moved, whole, flops, times))
    return found


def _moved(row: Instruction, kinds: Mapping[str, str], program: Program) -> int:
    """Bytes that an instruction reads and writes."""
    if row.op in PARTS:
        return 2 * size(row.kind)
    if row.op == "dynamic-update-slice":
        return 2 * size(kinds.get(row.operands[1], ""))
    read = {at: size(kinds.get(operand, "")) for at, operand in enumerate(row.operands)}
    written = size(row.kind)
    if row.op == "fusion":
        inside = program[row.called("calls")[0]]
        for at, parameter in _parameters(inside).items():
            read[at] = min(read.get(at, 0), _read(parameter, inside))
        roots = [instruction for instruction in inside if instruction.is_root]
        if roots and roots[0].op == "dynamic-update-slice":
            known = {instruction.name: instruction.kind for instruction in inside}
            written = size(known.get(roots[0].operands[1], roots[0].kind))
    return written + sum(read.values())


def _parameters(inside: Sequence[Instruction]) -> dict[int, Instruction]:
    """Number → parameter of a fused computation."""
    return {int(row.inside): row for row in inside if row.op == "parameter"}


def _read(value: Instruction, inside: Sequence[Instruction]) -> int:
    """Bytes that a fused computation reads of a value: the parts, or all if it is used whole."""
    total, whole = 0, size(value.kind)
    for user in inside:
        if value.name not in user.operands:
            continue
        first = user.operands[0] == value.name and value.name not in user.operands[1:]
        if user.op in PARTS and first:
            total += size(user.kind)
        elif user.op == "dynamic-update-slice" and first:
            continue  # what is not overwritten stays where it is
        elif user.op in VIEWS:
            total += _read(user, inside)
        else:
            return whole
    return min(total, whole)


def _flops(row: Instruction, kinds: Mapping[str, str], program: Program) -> int:
    """FLOPs of the matrix products in an instruction."""
    if row.op == "dot":
        axes = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", row.rest)
        return _product(row, kinds, _dims(axes[1]) if axes else [])
    if row.op == "convolution":  # a TPU's products
        return _convolution(row, kinds)
    if row.op == "custom-call" and "gemm" in row.rest[:400]:
        axes = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', row.rest)
        return _product(row, kinds, [int(a) for a in re.findall(r"\d+", axes[1])] if axes else [])
    total = 0
    for name in row.called("calls"):
        inner = {instruction.name: instruction.kind for instruction in program[name]}
        total += sum(_flops(instruction, inner, program) for instruction in program[name])
    return total


def _product(row: Instruction, kinds: Mapping[str, str], axes: Sequence[int]) -> int:
    left = _shape(kinds.get(row.operands[0], ""))
    result = _shape(row.kind)
    return 2 * math.prod(result) * math.prod(left[axis] for axis in axes) if left else 0


def _convolution(row: Instruction, kinds: Mapping[str, str]) -> int:
    """Each result sums over the input features of its kernel and over the window.

    A batch of products is a convolution over the batch whose left operand is dilated so far that
    a window meets one of its members: the zeros between them are no work.
    """
    labels = re.search(r"dim_labels=\w+_(\w+)->", row.rest)
    kernel = _shape(kinds.get(row.operands[1], ""))
    if not labels or len(labels[1]) != len(kernel):
        return 0
    dilated = re.search(r"\blhs_dilate=([\dx]+)", row.rest)
    dilations = iter([int(n) for n in dilated[1].split("x")] if dilated else [])
    spatial = sorted(letter for letter in labels[1] if letter.isdigit())
    by_letter = {letter: next(dilations, 1) for letter in spatial}
    window = [
        -(-n // by_letter.get(letter, 1))
        for letter, n in zip(labels[1], kernel, strict=True)
        if letter != "o"
    ]
    return 2 * math.prod(_shape(row.kind)) * math.prod(window)


def _shape(kind: str) -> list[int]:
    found = _ARRAY.search(kind)
    return _dims(found[2]) if found else []


def _dims(text: str) -> list[int]:
    return [int(dim) for dim in text.split(",") if dim]


def _split(text: str) -> tuple[str, str]:
    """What stands inside an instruction's parentheses, and what comes after them."""
    depth = 1
    for at, letter in enumerate(text):
        depth += (letter in "({") - (letter in ")}")
        if depth == 0:
            return text[:at], text[at + 1 :]
    return text, ""
