"""Bytes and FLOPs that are read off compiled text, where a hand can count them too."""

import math

import pytest

from grokjax.engine import hlo

F32, F64 = 4, 8


def nothing(label, shapes):
    """No kernel that is not the compiler's has products."""
    return 0


def program(body, others="", trips=7):
    """A loop that runs so often over these instructions, as a compiler writes it."""
    return f"""HloModule jit_segment, is_scheduled=true

{others}
%body (state: (f32[8,16], s32[])) -> (f32[8,16], s32[]) {{
  %state = (f32[8,16]{{1,0}}, s32[]) parameter(0)
  %x = f32[8,16]{{1,0}} get-tuple-element(%state), index=0
  %n = s32[] get-tuple-element(%state), index=1
{body}
  ROOT %out = (f32[8,16]{{1,0}}, s32[]) tuple(%x, %n)
}}

%condition (state.1: (f32[8,16], s32[])) -> pred[] {{
  %state.1 = (f32[8,16]{{1,0}}, s32[]) parameter(0)
  %n.1 = s32[] get-tuple-element(%state.1), index=1
  %last = s32[] constant({trips})
  ROOT %compare = pred[] compare(%n.1, %last), direction=LT
}}

ENTRY %main (start: f32[8,16]) -> f32[8,16] {{
  %start = f32[8,16]{{1,0}} parameter(0)
  %zero = s32[] constant(0)
  %both = (f32[8,16]{{1,0}}, s32[]) tuple(%start, %zero)
  %loop = (f32[8,16]{{1,0}}, s32[]) while(%both), condition=%condition, body=%body
  ROOT %end = f32[8,16]{{1,0}} get-tuple-element(%loop), index=0
}}
"""


def kernels(body, others="", own=nothing):
    return hlo.step_kernels(program(body, others), 7, own)


def kernel(body, others="", own=nothing):
    """The only kernel of such a loop."""
    (found,) = kernels(body, others, own)
    return found


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("f32[8,16]{1,0}", 8 * 16 * 4),
        ("f64[3]", 24),
        ("f32[]", 4),
        ("pred[5]{0}", 5),
        ("bf16[2,3]{1,0:T(8,128)(2,1)}", 12),
        ("s64[0,4]", 0),
        ("(f32[2]{0}, (s32[3]{0}, u8[5]{0}), f64[])", 8 + 12 + 5 + 8),
        ("token[]", 0),
    ],
)
def test_a_shape_has_the_bytes_of_its_numbers(kind, expected):
    assert hlo.size(kind) == expected


def test_instructions_are_taken_apart():
    body = (
        "  %dot.3 = f32[8,8]{1,0} dot(%x, %x), lhs_contracting_dims={1}, rhs_contracting_dims={1}, "
        'metadata={op_name="jit(f)/while/body/dot (mine)" source_file="a.py"}'
    )
    found = hlo.parse(program(body))
    assert set(found) == {"body", "condition", "main"}
    by_name = {row.name: row for row in found["body"]}
    dot = by_name["dot.3"]
    assert (dot.kind, dot.op, dot.operands) == ("f32[8,8]{1,0}", "dot", ("x", "x"))
    assert dot.label == "jit(f)/while/body/dot (mine)" and not dot.is_root
    assert by_name["state"].kind == "(f32[8,16]{1,0}, s32[])"
    assert by_name["out"].is_root and by_name["x"].label == "x"
    (loop,) = (row for row in found["main"] if row.op == "while")
    assert loop.called("body") == ["body"] and loop.called("condition") == ["condition"]


def test_what_no_device_starts_is_no_kernel():
    body = """  %two = f32[] constant(2)
  %flat = f32[128]{0} bitcast(%x)
  %numbers = s32[16]{0} iota(), iota_dimension=0"""
    assert kernels(body) == []


def test_an_operation_reads_its_operands_and_writes_its_result():
    found = kernel("  %sum = f32[8,16]{1,0} add(%x, %x)")
    assert found.bytes == found.whole_bytes == 3 * 8 * 16 * F32
    assert (found.op, found.shape, found.flops, found.times) == ("add", "f32[8,16]", 0, 1)


FUSIONS = {
    "sliced": (
        "(p: f32[100,16], q: f32[5,16]) -> f32[5,16]",
        """  %p = f32[100,16]{1,0} parameter(0)
  %q = f32[5,16]{1,0} parameter(1)
  %part = f32[5,16]{1,0} slice(%p), slice={[10:15], [0:16]}
  ROOT %y = f32[5,16]{1,0} multiply(%part, %q)""",
        3 * 5 * 16 * F32,
    ),
    "sliced twice through a view": (
        "(p: f32[100,16], q: f32[5,16]) -> f32[5,16]",
        """  %p = f32[100,16]{1,0} parameter(0)
  %q = f32[5,16]{1,0} parameter(1)
  %view = f32[100,16]{1,0} bitcast(%p)
  %a = f32[5,16]{1,0} slice(%view), slice={[0:5], [0:16]}
  %b = f32[5,16]{1,0} slice(%p), slice={[7:12], [0:16]}
  %c = f32[5,16]{1,0} multiply(%a, %b)
  ROOT %y = f32[5,16]{1,0} add(%c, %q)""",
        4 * 5 * 16 * F32,
    ),
    "sliced and used whole": (
        "(p: f32[100,16], q: f32[5,16]) -> f32[5,16]",
        """  %p = f32[100,16]{1,0} parameter(0)
  %q = f32[5,16]{1,0} parameter(1)
  %a = f32[5,16]{1,0} slice(%p), slice={[0:5], [0:16]}
  %sums = f32[16]{0} reduce(%p, %q), dimensions={0}, to_apply=%adding
  %all = f32[5,16]{1,0} broadcast(%sums), dimensions={1}
  ROOT %y = f32[5,16]{1,0} add(%a, %all)""",
        (100 + 5 + 5) * 16 * F32,
    ),
    "more parts than the whole, and one operand not at all": (
        "(p: f32[6,16], q: f32[5,16]) -> f32[5,16]",
        """  %p = f32[6,16]{1,0} parameter(0)
  %q = f32[5,16]{1,0} parameter(1)
  %a = f32[5,16]{1,0} slice(%p), slice={[0:5], [0:16]}
  %b = f32[5,16]{1,0} slice(%p), slice={[1:6], [0:16]}
  ROOT %y = f32[5,16]{1,0} add(%a, %b)""",
        (6 + 5) * 16 * F32,
    ),
}


@pytest.mark.parametrize("name", FUSIONS)
def test_a_fusion_reads_of_an_operand_what_it_takes(name):
    head, inside, expected = FUSIONS[name]
    rows = int(head.split("f32[")[1].split(",")[0])
    others = f"%fused {head} {{\n{inside}\n}}\n"
    body = f"""  %big = f32[{rows},16]{{1,0}} constant({{...}})
  %small = f32[5,16]{{1,0}} constant({{...}})
  %y.1 = f32[5,16]{{1,0}} fusion(%big, %small), kind=kLoop, calls=%fused"""
    found = kernel(body, others)
    assert found.bytes == expected
    assert found.whole_bytes == (rows + 5 + 5) * 16 * F32
    assert (found.op, found.flops) == ("fusion", 0)


def test_a_gather_reads_the_rows_that_it_finds():
    attributes = (
        "offset_dims={1}, collapsed_slice_dims={0}, start_index_map={0}, index_vector_dim=1"
    )
    alone = f"""  %table = f32[1000,16]{{1,0}} constant({{...}})
  %at = s32[8,1]{{1,0}} constant({{...}})
  %found = f32[8,16]{{1,0}} gather(%table, %at), {attributes}, slice_sizes={{1,16}}"""
    found = kernel(alone)
    assert found.bytes == 2 * 8 * 16 * F32
    assert found.whole_bytes == (1000 * 16 + 8 + 8 * 16) * F32
    others = f"""%fused (p: f32[1000,16], q: s32[8,1]) -> f32[8,16] {{
  %p = f32[1000,16]{{1,0}} parameter(0)
  %q = s32[8,1]{{1,0}} parameter(1)
  %rows = f32[8,16]{{1,0}} gather(%p, %q), {attributes}, slice_sizes={{1,16}}
  ROOT %y = f32[8,16]{{1,0}} negate(%rows)
}}"""
    fused = alone.replace("gather(", "fusion(").replace(
        f"{attributes}, slice_sizes={{1,16}}", "kind=kLoop, calls=%fused"
    )
    assert kernel(fused, others).bytes == (2 * 8 * 16 + 8) * F32


UPDATE = """%fused (p: f32[50,16], q: f32[16], at: s32[]) -> f32[50,16] {
  %p = f32[50,16]{1,0} parameter(0)
  %q = f32[16]{0} parameter(1)
  %at = s32[] parameter(2)
  %nought = s32[] constant(0)
  %row = f32[1,16]{1,0} bitcast(%q)
  ROOT %put = f32[50,16]{1,0} dynamic-update-slice(%p, %row, %at, %nought)
}"""


def test_an_update_in_place_moves_what_it_puts():
    body = """  %all = f32[50,16]{1,0} constant({...})
  %row.1 = f32[1,16]{1,0} constant({...})
  %put.1 = f32[50,16]{1,0} dynamic-update-slice(%all, %row.1, %n, %n)"""
    assert kernel(body).bytes == 2 * 16 * F32
    body = """  %all = f32[50,16]{1,0} constant({...})
  %row.1 = f32[16]{0} constant({...})
  %put.1 = f32[50,16]{1,0} fusion(%all, %row.1, %n), kind=kLoop, calls=%fused"""
    found = kernel(body, UPDATE)
    assert found.bytes == (16 + 16 + 1) * F32
    assert found.whole_bytes == (2 * 50 * 16 + 16 + 1) * F32


def test_products_count_two_flops_for_each_number_that_is_multiplied():
    body = """  %w = f64[16,32]{1,0} constant({...})
  %v = f64[3,8,16]{2,1,0} constant({...})
  %y = f64[3,8,32]{2,1,0} dot(%v, %w), lhs_contracting_dims={2}, rhs_contracting_dims={0}"""
    found = kernel(body)
    assert found.flops == 2 * 3 * 8 * 16 * 32
    assert found.bytes == (16 * 32 + 3 * 8 * 16 + 3 * 8 * 32) * F64
    batched = """  %a = f32[4,5,6,7]{3,2,1,0} constant({...})
  %b = f32[4,5,6,9]{3,2,1,0} constant({...})
  %y = f32[4,7,9]{2,1,0} dot(%a, %b), lhs_batch_dims={0}, lhs_contracting_dims={1,2}, rhs_batch_dims={0}, rhs_contracting_dims={1,2}"""
    assert kernel(batched).flops == 2 * 4 * 7 * 9 * 5 * 6


def test_a_product_inside_of_a_fusion_counts():
    others = """%inner (p.1: f32[8,16], q.1: f32[16,4]) -> f32[8,4] {
  %p.1 = f32[8,16]{1,0} parameter(0)
  %q.1 = f32[16,4]{1,0} parameter(1)
  ROOT %y.1 = f32[8,4]{1,0} dot(%p.1, %q.1), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}
"""
    body = """  %w = f32[16,4]{1,0} constant({...})
  %y = f32[8,4]{1,0} fusion(%x, %w), kind=kCustom, calls=%inner"""
    found = kernel(body, others)
    assert found.flops == 2 * 8 * 16 * 4
    assert found.bytes == (8 * 16 + 16 * 4 + 8 * 4) * F32


def test_a_product_of_a_library_counts_and_other_calls_are_asked_for():
    body = """  %w = f32[16,4]{1,0} constant({...})
  %y = (f32[8,4]{1,0}, s8[4194304]{0}) custom-call(%x, %w), custom_call_target="__cublas$gemm", backend_config={"gemm_backend_config":{"alpha_real":1,"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"],"rhs_contracting_dimensions":["0"]}}}"""
    found = kernel(body)
    assert found.flops == 2 * 8 * 16 * 4
    asked = []

    def own(label, shapes):
        asked.append((label, shapes))
        return 1234

    mine = """  %w = f32[16,4]{1,0} constant({...})
  %y = f32[8,4]{1,0} custom-call(%x, %w), custom_call_target="__gpu$xla.gpu.triton", metadata={op_name="a/mine/b"}"""
    found = kernel(mine, own=own)
    assert found.flops == 1234 and asked == [("a/mine/b", [[8, 16], [16, 4]])]
    assert found.bytes == (8 * 16 + 16 * 4 + 8 * 4) * F32


@pytest.mark.parametrize(
    ("kernel_shape", "labels", "expected"),
    [
        ("16,4", "bf_io->bf", 2 * 8 * 4 * 16),
        ("4,16", "bf_oi->bf", 2 * 8 * 4 * 16),
        ("3,16,4", "b0f_0io->b0f", 2 * 8 * 4 * 16 * 3),
        # A batch of 3 products, as a TPU has them: a window meets one member.
        ("3,16,4", "0bf_0io->0bf, window={size=3 stride=2 lhs_dilate=3}", 2 * 8 * 4 * 16),
    ],
)
def test_a_convolution_sums_over_features_and_window(kernel_shape, labels, expected):
    body = f"""  %w = f32[{kernel_shape}]{{1,0}} constant({{...}})
  %y = f32[8,4]{{1,0}} convolution(%x, %w), dim_labels={labels}"""
    assert kernel(body).flops == expected


NESTED = """%inside (s: (f32[8,16])) -> (f32[8,16]) {
  %s = (f32[8,16]{1,0}) parameter(0)
  %z = f32[8,16]{1,0} get-tuple-element(%s), index=0
  %once = f32[8,16]{1,0} negate(%z)
  %deep = (f32[8,16]{1,0}) while(%s), condition=%c, body=%deeper, backend_config={"known_trip_count":{"n":"5"}}
  ROOT %t = (f32[8,16]{1,0}) tuple(%once)
}

%deeper (s.1: (f32[8,16])) -> (f32[8,16]) {
  %s.1 = (f32[8,16]{1,0}) parameter(0)
  %z.1 = f32[8,16]{1,0} get-tuple-element(%s.1), index=0
  %often = f32[8,16]{1,0} exponential(%z.1)
  ROOT %t.1 = (f32[8,16]{1,0}) tuple(%often)
}

%called (z.2: f32[8,16]) -> f32[8,16] {
  %z.2 = f32[8,16]{1,0} parameter(0)
  ROOT %c.2 = f32[8,16]{1,0} cosine(%z.2)
}

%c (s.3: (f32[8,16])) -> pred[] {
  %s.3 = (f32[8,16]{1,0}) parameter(0)
  ROOT %yes = pred[] constant(true)
}
"""


def test_loops_inside_count_as_often_as_they_run():
    body = """  %one = (f32[8,16]{1,0}) tuple(%x)
  %w = (f32[8,16]{1,0}) while(%one), condition=%c, body=%inside, backend_config={"known_trip_count":{"n":"3"}}
  %k = f32[8,16]{1,0} call(%x), to_apply=%called"""
    found = {kernel.op: kernel for kernel in kernels(body, NESTED)}
    times = {op: kernel.times for op, kernel in found.items()}
    assert times == {"negate": 3, "exponential": 15, "cosine": 1}
    assert {kernel.bytes for kernel in found.values()} == {2 * 8 * 16 * F32}


def test_how_often_a_loop_runs_is_in_its_attributes_or_its_condition():
    for text, expected in ((program("", trips=9), 9), (NESTED, 5)):
        parsed = hlo.parse(text)
        (loop,) = (row for rows in parsed.values() for row in rows if row.op == "while")
        assert hlo.trips(loop, parsed) == expected
    unknown = NESTED.replace(', backend_config={"known_trip_count":{"n":"5"}}', "")
    parsed = hlo.parse(unknown)
    (loop,) = (row for rows in parsed.values() for row in rows if row.op == "while")
    assert hlo.trips(loop, parsed) is None


def test_the_training_step_is_the_loop_of_so_many_updates():
    text = program("  %sum = f32[8,16]{1,0} add(%x, %x)")
    assert len(hlo.step_kernels(text, 7, nothing)) == 1
    with pytest.raises(ValueError, match="no loop of 8 updates"):
        hlo.step_kernels(text, 8, nothing)
    # Of two such loops the one that moves more.
    shape = "(f32[8,16]{1,0}, s32[])"
    second = f"""%other (v: {shape}) -> {shape} {{
  %v = {shape} parameter(0)
  %h = f32[8,16]{{1,0}} get-tuple-element(%v), index=0
  %g = f32[8,16]{{1,0}} negate(%h)
  %i = s32[] get-tuple-element(%v), index=1
  ROOT %u = {shape} tuple(%g, %i)
}}
"""
    loop = f"  %loop.2 = {shape} while(%loop), condition=%condition, body=%other\n  ROOT %end"
    both = second + text.replace("  ROOT %end", loop)
    (found,) = hlo.step_kernels(both, 7, nothing)
    assert found.op == "add"


def test_flops_of_a_product_need_the_shape_of_what_is_multiplied():
    found = kernel(
        "  %y = f32[8,4]{1,0} dot(%elsewhere, %x), lhs_contracting_dims={1}, rhs_contracting_dims={0}"
    )
    assert found.flops == 0 and found.bytes == (8 * 4 + math.prod((8, 16))) * F32
