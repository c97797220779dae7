# ruff: noqa: E501 - a table: one attack a line
"""ONNX files made to hurt: they are read for their structure alone, in bounded time, and no data outside is opened."""

from collections.abc import Callable

import onnx
import pytest
from hostile_capture import Capture, Case, Outcome
from hostile_judge import judge
from onnx import TensorProto, helper

EXPORTED, OPTIMIZED = "onnx/exported.onnx", "onnx/optimized.onnx"
PROPERTY = "pkg.torch.onnx.name_scopes"

Change = Callable[[onnx.ModelProto], None]


def changed(*changes: Change, names: tuple[str, ...] = (EXPORTED, OPTIMIZED)) -> Callable[[Capture], None]:
    """The captured graphs, changed and written again."""

    def tamper(capture: Capture) -> None:
        for name in names:
            model = onnx.ModelProto()
            model.ParseFromString((capture.root / name).read_bytes())
            for change in changes:
                change(model)
            capture.put(name, model.SerializeToString())

    return tamper


def data(make: Callable[[], bytes]) -> Callable[[Capture], None]:
    """Other bytes in place of the graph that ran."""
    return lambda capture: capture.put(OPTIMIZED, make())


def external(location: str, **more: str) -> Change:
    """Every initializer's data in a file."""

    def change(model: onnx.ModelProto) -> None:
        for item in model.graph.initializer:
            item.ClearField("raw_data")
            item.data_location = TensorProto.EXTERNAL
            del item.external_data[:]
            for key, value in {"location": location, **more}.items():
                item.external_data.add(key=key, value=value)

    return change


def each_node(change: Callable[[onnx.NodeProto, int], None]) -> Change:
    def apply(model: onnx.ModelProto) -> None:
        for number, node in enumerate(model.graph.node):
            change(node, number)

    return apply


def properties(value: str) -> Change:
    def change(node: onnx.NodeProto, _: int) -> None:
        for item in node.metadata_props:
            item.value = value

    return each_node(change)


def dims(*sizes: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        for item in model.graph.initializer:
            del item.dims[:]
            item.dims.extend(sizes)
        for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
            shape = value.type.tensor_type.shape
            del shape.dim[:]
            for size in sizes:
                shape.dim.add(dim_value=size)

    return change


def nested(depth: int) -> bytes:
    """An If in an If in an If: built from the inside out as bytes, because protobuf's own writer gives up before."""
    graph = b""
    for _ in range(depth):
        attribute = _field(1, b"then_branch") + _field(6, graph)
        node = _field(1, b"c") + _field(2, b"y") + _field(4, b"If") + _field(5, attribute)
        graph = _field(1, node)
    return _field(7, graph)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def model(*nodes: onnx.NodeProto) -> bytes:
    return helper.make_model(helper.make_graph(list(nodes), "g", [], [])).SerializeToString()


def repeated(field: bytes, count: int) -> bytes:
    return _field(7, field * count)


def wide(count: int) -> bytes:
    """A node of so many inputs and outputs, all of one name."""
    return _field(7, _field(1, _field(1, b"a") * count + _field(2, b"a") * count + _field(4, b"Sum")))


def attributes(count: int) -> bytes:
    one = _field(1, b"k") + b"\x18\x01" + b"\xa0\x01\x02"
    return _field(7, _field(1, _field(4, b"Op") + _field(5, one) * count))


def branches(width: int, depth: int) -> bytes:
    """Ifs whose two branches hold two more: the same names in all of them."""
    graph = _field(1, _field(1, b"x") + _field(2, b"y") + _field(4, b"Neg"))
    for _ in range(depth):
        inner = _field(5, _field(1, b"b") + _field(6, graph)) * width
        graph = _field(1, _field(1, b"c") + _field(2, b"y") + _field(4, b"If") + inner) + _field(
            12, _field(1, b"y")
        )
    return _field(7, graph)


def cycle(model: onnx.ModelProto) -> None:
    nodes = model.graph.node
    nodes[0].input.append(nodes[-1].output[0])
    nodes[5].input.append(nodes[5].output[0])


def walked_in_a_circle(model: onnx.ModelProto) -> None:
    """Nodes that rules follow from one to the next, and whose next is themselves."""
    for node in model.graph.node:
        if node.op_type == "Softmax":
            adding = helper.make_node("Add", ["again", "again"], ["again"], name="again")
            turning = helper.make_node(
                "Transpose", ["turned beside"], ["turned", "turned beside"], name="turned"
            )
            node.input[0] = "again"
            node.input.append("turned")
            model.graph.node.extend([adding, turning])
            return


def reversed_order(model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def same_output(node: onnx.NodeProto, _: int) -> None:
    for place in range(len(node.output)):
        node.output[place] = "same"


def same_all(node: onnx.NodeProto, _: int) -> None:
    node.name, node.op_type = "same", "Same"
    for names in (node.input, node.output):
        for place in range(len(names)):
            names[place] = "same"


def named(text: str) -> Change:
    def change(node: onnx.NodeProto, number: int) -> None:
        node.name = f"{text}{number}"
        node.domain = text

    return each_node(change)


def perms(text: list[int]) -> Change:
    def change(node: onnx.NodeProto, _: int) -> None:
        if node.op_type == "Transpose":
            del node.attribute[:]
            node.attribute.append(helper.make_attribute("perm", text))

    return each_node(change)


def case(name: str, tamper: Callable[[Capture], None], outcome: Outcome = "report", says: str = "") -> Case:
    return Case(name=name, tamper=tamper, outcome=outcome, says=says)


CASES = (
    *(
        case(f"external data at {place}", changed(external(place)))
        for place in ("/etc/passwd", "../outside/secret.json", "../../outside/secret.json", "/dev/zero", "", "\0", "a" * 10_000)
    ),
    case("external data far beyond the file", changed(external("outputs.json", offset=str(1 << 62), length=str(1 << 62)))),
    case("external data at a negative place", changed(external("outputs.json", offset="-1", length="-1", checksum="x"))),
    case("external data at no number", changed(external("outputs.json", offset="9" * 5_000, length="abc"))),
    *(
        case(f"subgraphs {depth} deep", data(lambda depth=depth: nested(depth)), "either")
        for depth in (10, 45, 60, 99, 200, 5_000, 100_000)
    ),
    case("branches that double at every level", data(lambda: branches(2, 12)), "either"),
    case("branches that are ten at every level", data(lambda: branches(10, 4)), "either"),
    case("a cycle", changed(cycle)),
    case("a mask that is added to itself before Softmax", changed(walked_in_a_circle)),
    case("the last node first", changed(reversed_order)),
    case("one output name for all nodes", changed(each_node(same_output))),
    case("one name for everything", changed(each_node(same_all))),
    case("two hundred thousand nodes", data(lambda: repeated(_field(1, _field(1, b"a") + _field(2, b"b") + _field(4, b"Neg")), 200_000)), "error", "holds more than 100,000 nodes"),
    case("a million empty nodes", data(lambda: repeated(_field(1, b""), 1_000_000)), "error", "holds more than 100,000 nodes"),
    case("two hundred thousand attributes", data(lambda: attributes(200_000))),
    case("two hundred thousand inputs of one node", data(lambda: wide(200_000))),
    case("a million initializers", data(lambda: repeated(_field(5, b""), 1_000_000))),
    case("a name of 20 MB", data(lambda: model(helper.make_node("Neg", ["x"], ["y"], name="n" * (20 << 20))))),
    case("an op type of 1 MB", data(lambda: model(helper.make_node("N" * (1 << 20), ["x"], ["y"], name="a/" * 1_000)))),
    case("metadata of 10 MB", changed(properties("x" * 10_000))),
    case("scopes that are code", changed(properties("__import__('os').system('touch /tmp/attacked')"))),
    case("scopes nested deep", changed(properties("[" * 50_000))),
    case("scopes that are a large power", changed(properties("9**9**9"))),
    case("scopes of many operators", changed(properties("1" + "+1" * 40_000))),
    case("scopes that are many digits", changed(properties("[" + "9" * 90_000 + "]"))),
    case("fx nodes that make patterns slow", changed(properties("%" + "a." * 45_000))),
    case("scopes of ten thousand parts", changed(properties("['" + "', '".join("a." * 5 for _ in range(9_000)) + "']"))),
    case("sizes that overflow", changed(dims(1 << 62, 1 << 62, 1 << 62))),
    case("negative sizes", changed(dims(-1, -(1 << 63)))),
    case("sizes of zero", changed(dims(0, 0))),
    case("ten thousand dimensions", changed(lambda m: dims(*range(10_000))(m) if len(m.graph.value_info) < 50 else None)),
    case("names that are paths", changed(named("../../../../etc/passwd/"))),
    case("a transpose of a thousand axes", changed(perms(list(range(1_000))))),
    case("a transpose of axes that are none", changed(perms([-1, 1 << 40, 0, 0]))),
    case("a negative version", changed(lambda m: setattr(m, "ir_version", -(1 << 63)))),
    case("no opset", changed(lambda m: m.opset_import.__delitem__(slice(None)))),
    case("an empty file", data(lambda: b"")),
    case("only a graph of no nodes", data(lambda: _field(7, b""))),
    case("no protobuf", data(lambda: b"\xff" * 100), "error", "not an ONNX model"),
    case("cut in the middle", lambda c: c.put(OPTIMIZED, (c.root / OPTIMIZED).read_bytes()[:-1000]), "error", "not an ONNX model"),
    case("text that is no UTF-8", data(lambda: repeated(_field(1, _field(4, b"\xff\xfe") + _field(3, b"\x80")), 5)), "error", "is not UTF-8"),
    case("a length beyond the file", data(lambda: b"\x3a" + _varint(1 << 40)), "error", "not an ONNX model"),
    case("zeros", data(lambda: bytes(100_000)), "error"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_graph_is_read_for_its_structure_alone(results, case):
    judge(case, results[case.name])
