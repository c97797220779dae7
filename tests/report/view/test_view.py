"""The view model: what is said, in which order, and that every roll-up keeps its sum."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from attrib.model.document import CAUSES
from attrib.report.view.modules import ModuleNode, module_tree, prune_tree
from attrib.report.view.operators import LINES, operator_table, unique_anchors
from attrib.report.view.verdict import alerts_of, side_names
from attrib.report.view.view import view_of
from tests.report.factory import (
    HOSTILE,
    document,
    hostile,
    huge,
    ledger,
    mismatched,
)


def test_sides_of_one_engine_are_told_apart():
    base = document()
    same = {role: msgspec.structs.replace(side, engine="torch") for role, side in base.sides.items()}
    assert side_names(document(sides=same)) == {"torch": "PyTorch (A)", "onnxruntime": "PyTorch (B)"}


def test_gravest_alert_comes_first():
    alerts = alerts_of(msgspec.structs.replace(mismatched(), warnings=("the load was high",)))
    assert [alert.level for alert in alerts] == ["error", "warning", "note"]
    assert "largest difference 0.37, tolerance 0.0001" in alerts[0].lines[0].text
    assert alerts_of(document()) == ()


def _check_sums(node: ModuleNode) -> None:
    if node.children:
        assert node.delta_ns == sum(child.delta_ns for child in node.children), node.path
        assert node.rows == sum(child.rows for child in node.children), node.path
    for child in node.children:
        _check_sums(child)


def test_module_tree_sums_to_the_delta_at_every_node():
    whole = document()
    tree = module_tree(whole.ledger, "model")
    assert tree.delta_ns == whole.latency.delta_ns.median
    assert tree.rows == len(whole.ledger)
    _check_sums(tree)


def test_repeated_layers_fold_into_one_with_their_mean_and_their_range():
    rows = ledger()
    tree = module_tree(rows, "model")
    group = next(child for child in tree.children if child.kind == "group")
    assert group.label == "encoder.layer.*"
    assert group.members == 12
    assert {child.label for child in group.children} == {"attention", "intermediate", "output"}
    layers = [
        sum(row.delta_ns for row in rows if row.module.startswith(f"encoder.layer.{number}."))
        for number in range(12)
    ]
    assert (group.least_ns, group.most_ns) == (min(layers), max(layers))
    assert group.delta_ns == sum(layers)
    assert group.mean_ns == round(sum(layers) / 12)


def test_layers_that_do_something_else_are_not_folded_with_the_others():
    query, gelu = (next(row for row in ledger(1) if name in row.region) for name in ("query", "gelu"))
    rows = [
        msgspec.structs.replace(row, id=f"{number}", module=f"h.{number}")
        for number, row in enumerate((query, query, gelu, query))
    ]
    assert sorted((node.label, node.members) for node in module_tree(rows, "model").children) == [
        ("h.2", 0),
        ("h.{0,1,3}", 3),
    ] or sorted(child.label for child in module_tree(rows, "model").children[0].children) == ["2", "{0,1,3}"]


def test_a_node_of_one_layer_alone_does_not_tell_it_apart():
    rows = ledger(3)
    mask = msgspec.structs.replace(
        rows[-1], id="mask", module="encoder.layer.0", torch_ops=(), onnx_ops=("Where",)
    )
    group = next(child for child in module_tree((*rows, mask), "model").children if child.kind == "group")
    assert (group.label, group.members) == ("encoder.layer.*", 3)


def test_single_layer_is_not_a_group():
    tree = module_tree(ledger(1), "model")
    assert all(child.kind != "group" for child in tree.children)
    assert any(child.label == "encoder.layer.0" for child in tree.children)


def test_missing_layers_are_not_hidden_behind_a_range():
    rows = [msgspec.structs.replace(ledger(1)[0], module=f"h.{number}.mlp") for number in (0, 2, 7)]
    assert module_tree(rows, "model").children[0].label == "h.{0,2,7}"


def test_work_of_a_module_itself_stands_beside_its_children():
    tree = module_tree(ledger(), "model")
    own = [child.label for child in tree.children if child.kind == "cause"]
    assert CAUSES["framework"].title in own
    assert CAUSES["profiler_overhead"].title in own


names = st.lists(st.sampled_from(("a", "b", "0", "1", "2", "10", "9" * 5000, "")), max_size=6).map(".".join)


@given(st.lists(names, min_size=1, max_size=30), st.integers(1, 20))
def test_any_paths_make_a_tree_that_keeps_its_sum_even_when_pruned(paths, limit):
    row = ledger(1)[0]
    rows = [msgspec.structs.replace(row, module=path, delta_ns=n + 1) for n, path in enumerate(paths)]
    tree = module_tree(rows, "model")
    assert tree.delta_ns == sum(range(1, len(paths) + 1))
    _check_sums(tree)
    _check_sums(prune_tree(tree, limit))


def test_very_deep_paths_do_not_overflow():
    rows = [msgspec.structs.replace(ledger(1)[0], module=".".join("a" * n)) for n in range(1, 3000, 7)]
    _check_sums(module_tree(rows, "model"))


def _count(node: ModuleNode) -> int:
    return 1 + sum(map(_count, node.children))


def test_huge_trees_are_pruned():
    tree = prune_tree(module_tree(huge().ledger, "model"), 700)
    assert _count(tree) < 1_500
    assert tree.delta_ns == huge().latency.delta_ns.median


def table_of(rows):
    return operator_table(rows, unique_anchors(row.id for row in rows))


def test_operator_table_rolls_up_the_small_lines_and_keeps_the_sum():
    rows = ledger()
    table = table_of(rows)
    assert len(table.rows) == len(rows)
    assert len(table.lines) == LINES
    assert sum(line.row.delta_ns for line in table.lines) + table.other.delta_ns == sum(
        row.delta_ns for row in rows
    )
    assert sum(len(line.members) for line in table.lines) + table.other.count == len(rows)


def test_however_many_layers_repeat_the_lines_stay_as_many():
    assert len(table_of(ledger(40)).lines) == len(table_of(ledger(12)).lines)
    assert len(table_of(huge().ledger).lines) <= LINES + 1


def test_a_line_sums_what_repeated_layers_do_alike():
    rows = ledger()
    table = table_of(rows)
    line = next(
        line for line in table.lines if line.row.region == "encoder.layer.*.intermediate.dense/linear"
    )
    own = [row for row in rows if row.module.endswith("intermediate.dense")]
    assert {table.rows[position].row.id for position in line.members} == {row.id for row in own}
    assert len(own) == 12
    for name in ("torch_ns", "onnxruntime_ns", "delta_ns", "low_ns", "high_ns"):
        assert getattr(line.row, name) == sum(getattr(row, name) for row in own)
    assert (line.least_ns, line.most_ns) == (min(r.delta_ns for r in own), max(r.delta_ns for r in own))
    assert line.anchor == "rows/encoder.layer.0.intermediate.dense/linear/kernel"


def test_a_line_has_the_weakest_match_of_its_rows_and_a_contradiction_shows():
    rows = [row for row in ledger() if row.module.endswith("intermediate.dense")]
    weak = msgspec.structs.replace(rows[3].match, method="shape-order", confidence=0.4)
    rows[3] = msgspec.structs.replace(rows[3], match=weak)
    assert table_of(rows).lines[0].row.match.method == "shape-order"
    wrong = msgspec.structs.replace(rows[5].match, evidence=("SIZES DIFFER: by far",))
    rows[5] = msgspec.structs.replace(rows[5], match=wrong)
    assert table_of(rows).lines[0].contradicted


def test_the_same_ops_by_another_cause_or_another_module_stay_apart():
    rows = ledger()
    table = table_of(rows)
    for line in table.lines:
        members = [table.rows[position].row for position in line.members]
        assert len({(row.cause, row.torch_ops, row.onnx_ops) for row in members}) == 1


def test_table_that_fits_has_no_other_row():
    rows = ledger(1)
    table = table_of(rows[:20])
    assert table.other is None
    assert table.total.count == len(table.rows) == sum(len(line.members) for line in table.lines) == 20


def test_findings_come_by_saving_then_by_what_they_explain():
    view = view_of(document())
    assert [item.finding.id for item in view.findings] == [
        "decomposed-attention",
        "layout-churn",
        "operator-fusion",
    ]
    assert [item.tone for item in view.findings] == ["slower", "slower", "faster"]


def test_a_saving_is_a_bound_and_says_whether_it_was_tried():
    attention, layout, fusion = view_of(document()).findings
    assert attention.gain.text == "saves at most 1.140 ± 0.060 ms"
    assert layout.gain.text == "saves at most 712 ± 89 µs, not tried yet"
    assert fusion.gain.text == "explains −8.54 ms of the difference"


def test_a_fix_that_was_measured_and_saves_comes_before_one_that_might_save_more():
    layout, attention, *_ = document().findings
    larger = msgspec.structs.replace(layout, saving_ns=10 * attention.saving_ns)
    assert [item.finding.id for item in view_of(document(findings=(larger, attention))).findings] == [
        attention.id,
        larger.id,
    ]
    lost = msgspec.structs.replace(attention.verified, low_ns=-1)
    unsure = msgspec.structs.replace(attention, verified=lost)
    assert [item.finding.id for item in view_of(document(findings=(larger, unsure))).findings] == [
        larger.id,
        attention.id,
    ]


def test_finding_places_are_those_of_its_rows():
    view = view_of(document())
    item = view.findings[1]
    named = {row for piece in item.finding.evidence for row in piece.rows}
    assert {view.operators.rows[place].row.id for place in item.positions} == named
    assert all(set(line.members) & set(item.positions) for line in item.lines)
    assert {view.operators.rows[place].row.cause for place in item.positions} == {"layout"}


def test_states_of_rules_are_kept_apart():
    view = view_of(document())
    assert [f.id for f in view.passed] == ["cpu-fallback", "redundant-casts"]
    assert [f.id for f in view.not_applicable] == ["host-copies"]
    assert [f.id for f in view.errors] == ["shape-arithmetic"]


def test_breakdown_is_per_step_and_names_its_rest():
    torch = view_of(document()).breakdowns[0]
    assert torch.step_ns == 132_500_000
    assert torch.ops[0].op == "aten::linear"
    assert torch.ops[0].ns == 89_000_000
    assert torch.rest_ns == torch.step_ns - sum(op.ns for op in torch.ops)


def test_tables_of_short_steps_are_in_microseconds():
    base = document()
    steps = {role: msgspec.structs.replace(t, steps_ns=(80_000,)) for role, t in base.profiled.items()}
    short = {
        key: msgspec.structs.replace(getattr(base.latency, key), median=90_000)
        for key in ("torch_ns", "onnxruntime_ns")
    }
    latency = msgspec.structs.replace(base.latency, **short)
    assert view_of(msgspec.structs.replace(base, profiled=steps, latency=latency)).unit.symbol == "µs"
    assert view_of(base).unit.symbol == "ms"


def test_random_weights_are_said_once():
    view = view_of(document())
    said = [
        *view.subtitle,
        *(v for _, v in (*view.machine, *view.method)),
        view.verdict.sentence,
        view.verdict.why,
    ]
    assert sum("random, seed 0" in text for text in said) == 1


def test_any_strings_make_a_view():
    assert view_of(hostile()).title in HOSTILE


def test_foreign_traces_have_no_batch_size_to_tell():
    latency = msgspec.structs.replace(document().latency, torch_ns=None, onnxruntime_ns=None, delta_ns=None)
    workload = msgspec.structs.replace(document().workload, batch_size=0)
    view = view_of(document(sides={}, latency=latency, workload=workload))
    assert not any(part.startswith("batch") for part in view.subtitle)
