"""The matchers, in the order in which they are tried: each sees only what the ones before it left open.

1. `equal_values`: the call and the node make the same numbers; then what makes numbers that only lead to such: divided by
   fx nodes and weights where several calls do (`fx_nodes_inside`, `weights_inside`), else with what it leads to
   (`leading_to_equal`).
2. `fx_nodes`: the exporter wrote the module and the fx node; inside one module, fx nodes and calls of one op are in the
   same order, if there are as many of each.
3. `random_draws`: what draws random numbers, whose numbers agree with none: by module, or over the graph, and in order.
4. `weight_names`: the node reads the weights of a module, and names no other one.
5. `leaves`: the exporter wrote the module only (in a file without metadata, or in a profile without a file, the names of
   the nodes may hold it), and that module runs one op.
6. `data_flow`: nodes and calls of a module that read the same results.
7. `fx_runs`: as 2, where the export left calls out.
8. `scope_order`: inside one module, nodes and calls are aligned in order, by what an exporter writes for an op.
9. `in_order`: what makes or moves the same numbers, in order, where nothing else tells it apart.
10. `inserted_conversions`: a cast or layout change that names no module, in a graph that names the others, goes with the
   node whose result it takes: some tool put it in.
11. `shape_order`: nothing but order, ops and shapes over the whole graph.
12. `folded_norms`: a batch norm without a node was folded into its neighbor's, or took that call's node over.
13. `between`: whatever they are called, calls and nodes between the same neighbors.
14. `followers`: a view, copy or dropout without a node goes with the call whose result it passes on; first those whose
    numbers prove it.
15. `inserted_layouts`: layout nodes that ONNX Runtime put around another node go where that one went.
16. `handed_on`: what only hands numbers on, and has no call of its own, goes with the call that takes or made them.

To add a matcher, write its function in a file of this folder and add its row here: reports name its method and confidence
as the row has them.
"""

from attrib.analysis.match.candidates import Matcher
from attrib.analysis.match.matchers.absorbed import folded_norms, followers
from attrib.analysis.match.matchers.between import between
from attrib.analysis.match.matchers.by_value import (
    equal_values,
    fx_nodes_inside,
    handed_on,
    in_order,
    leading_to_equal,
    weights_inside,
)
from attrib.analysis.match.matchers.data_flow import data_flow
from attrib.analysis.match.matchers.fx_nodes import fx_nodes, fx_runs
from attrib.analysis.match.matchers.inserted import inserted_conversions, inserted_layouts
from attrib.analysis.match.matchers.random_draws import random_draws
from attrib.analysis.match.matchers.scope_order import leaves, scope_order
from attrib.analysis.match.matchers.shape_order import shape_order
from attrib.analysis.match.matchers.weight_names import weight_names

MATCHERS: tuple[Matcher, ...] = (
    Matcher(equal_values, "values", 0.999, needs=("values",)),  # 1
    Matcher(fx_nodes_inside, "fx-node", 0.99, needs=("links", "values", "data flow", "fx nodes")),  # 1
    Matcher(weights_inside, "weight-name", 0.9, needs=("links", "values", "data flow", "weights")),  # 1
    Matcher(leading_to_equal, "values", 0.999, needs=("links", "values")),  # 1
    Matcher(fx_nodes, "fx-node", 0.99, needs=("modules", "fx nodes"), constants=True),  # 2
    Matcher(random_draws, "scope-order", 0.9, needs=("modules",), constants=True),  # 3
    Matcher(random_draws, "shape-order", 0.5, constants=True),  # 3
    Matcher(weight_names, "weight-name", 0.9, needs=("weights",), constants=True),  # 4
    Matcher(leaves, "scope-order", 0.9, needs=("modules",), constants=True),  # 5
    Matcher(data_flow, "data-flow", 0.97, needs=("modules", "data flow", "export order")),  # 6
    Matcher(fx_runs, "fx-node", 0.99, needs=("modules", "fx nodes"), constants=True),  # 7
    Matcher(scope_order, "scope-order", 0.9, needs=("modules",), constants=True),  # 8
    Matcher(in_order, "values", 0.9, needs=("values",)),  # 9
    Matcher(inserted_conversions, needs=("links",)),  # 10
    Matcher(shape_order, "shape-order", 0.5),  # 11
    Matcher(folded_norms, "folded", 0.8, needs=("links",)),  # 12
    Matcher(between, "neighbors", 0.8, needs=("data flow",)),  # 13
    Matcher(followers, "values", 0.999, needs=("data flow", "links", "values")),  # 14
    Matcher(followers, "data-flow", 0.8, needs=("data flow", "links")),  # 14
    Matcher(inserted_layouts, needs=("wrappers", "links")),  # 15
    Matcher(handed_on, "values", 0.999, needs=("values", "links")),  # 16
)
