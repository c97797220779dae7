import pytest

from attrib.capture.workload.factory import call_factory, is_factory
from attrib.errors import AttribError

pytestmark = pytest.mark.engines


@pytest.mark.parametrize("model", ["pkg.module:make", "file.py:make", "/a/b c/file.py:make"])
def test_module_and_function_are_a_factory(model):
    assert is_factory(model)


@pytest.mark.parametrize(
    "model", ["bert-base-uncased", "org/name", "file.py:", ":make", "file.py:not a name"]
)
def test_anything_else_is_no_factory(model):
    assert not is_factory(model)


def test_named_inputs_keep_their_names(factories):
    module, inputs, arguments = call_factory(f"{factories}:named", factories.parent)
    assert type(module).__name__ == "Net"
    assert list(inputs) == ["x", "scale"]
    assert arguments.fill([1, 2]) == ((), {"x": 1, "scale": 2})


def test_positional_inputs_get_the_names_of_the_forwards_parameters(factories):
    _, inputs, arguments = call_factory(f"{factories}:positional", factories.parent)
    assert list(inputs) == ["x", "scale"]
    assert arguments.fill([1, 2]) == ((1, 2), {})


def test_module_beside_the_user_is_importable(factories):
    module, _, _ = call_factory("my_models:named", factories.parent)
    assert type(module).__name__ == "Net"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("raising", r"raised IndexError: list index out of range \(my_models.py, line \d+\)"),
        ("only_module", "gave a Net"),
        ("not_a_tensor", "gave a object as input 'x'"),
        ("absent", "has no function 'absent'"),
    ],
)
def test_a_wrong_factory_is_told_apart(factories, function, says):
    with pytest.raises(AttribError, match=says):
        call_factory(f"{factories}:{function}", factories.parent)


def test_line_of_the_error_is_the_users_own(factories):
    line = 1 + factories.read_text().splitlines().index("    return values[3]")
    with pytest.raises(AttribError, match=f"line {line}"):
        call_factory(f"{factories}:raising", factories.parent)


def test_a_file_that_is_no_python_says_where(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("def f():\n    return (\n")
    with pytest.raises(AttribError, match=r"SyntaxError.*broken.py, line 2"):
        call_factory(f"{file}:f", tmp_path)


def test_missing_module_suggests_a_file(tmp_path):
    with pytest.raises(AttribError, match="no_such_module") as caught:
        call_factory("no_such_module:f", tmp_path)
    assert "file.py:factory" in caught.value.hint
