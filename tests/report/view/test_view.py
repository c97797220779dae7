"""The view model: what is said, in which order, and that every roll-up keeps its sum."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from attrib.model.document import CAUSES
from attrib.report.view.modules import ModuleNode, module_tree, prune_tree, repeated_modules
from attrib.report.view.operators import operator_table, unique_anchors
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


def test_repeated_layers_fold_into_one_group_of_twelve():
    tree = module_tree(ledger(), "model")
    group = next(child for child in tree.children if child.kind == "group")
    assert group.label == "encoder.layer.{0..11}"
    assert group.members == 12
    assert [child.label for child in group.children] == [str(n) for n in range(12)]


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
    assert sum(r.delta_ns for r in repeated_modules(rows)) <= tree.delta_ns


def test_very_deep_paths_do_not_overflow():
    rows = [msgspec.structs.replace(ledger(1)[0], module=".".join("a" * n)) for n in range(1, 3000, 7)]
    _check_sums(module_tree(rows, "model"))


def _count(node: ModuleNode) -> int:
    return 1 + sum(map(_count, node.children))


def test_huge_trees_are_pruned():
    tree = prune_tree(module_tree(huge().ledger, "model"), 700)
    assert _count(tree) < 1_500
    assert tree.delta_ns == huge().latency.delta_ns.median


def test_repeated_modules_sum_over_their_places():
    rows = ledger()
    found = {row.pattern: row for row in repeated_modules(rows)}
    dense = found["encoder.layer.{0..11}.intermediate.dense"]
    assert dense.modules == 12
    assert dense.delta_ns == sum(r.delta_ns for r in rows if r.module.endswith("intermediate.dense"))


def test_operator_table_rolls_up_the_small_rows_and_keeps_the_sum():
    rows = huge().ledger
    table = operator_table(rows, unique_anchors(row.id for row in rows))
    assert len(table.rows) == 499
    assert table.other.count == 10_000 - 499
    assert sum(item.row.delta_ns for item in table.rows) + table.other.delta_ns == sum(
        r.delta_ns for r in rows
    )
    assert min(abs(i.row.delta_ns) for i in table.rows) >= max(
        abs(r.delta_ns) for r in rows if r.id not in {i.row.id for i in table.rows}
    )


def test_table_that_fits_has_no_other_row():
    rows = ledger()
    table = operator_table(rows, unique_anchors(row.id for row in rows))
    assert table.other is None
    assert table.total.count == len(table.rows) == len(rows)


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


def test_finding_places_are_those_of_its_rows():
    view = view_of(document())
    item = view.findings[1]
    assert {view.operators.rows[place].row.id for place in item.positions} == set(item.rows)
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
