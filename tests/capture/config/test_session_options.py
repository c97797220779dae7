import pytest

from attrib.capture.config.options import check_options
from attrib.capture.config.session_options import session_options
from attrib.capture.session.commands import new_side, open_command
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions


def test_attributes_and_entries_are_taken_and_the_last_of_two_holds():
    given = (
        "execution_mode=parallel",
        "session.intra_op.allow_spinning=1",
        "session.intra_op.allow_spinning=0",
    )
    assert session_options(given) == {
        "execution_mode": "parallel",
        "session.intra_op.allow_spinning": "0",
    }


@pytest.mark.parametrize(
    ("pair", "says", "hint"),
    [
        ("execution_mode", "no KEY=VALUE", "allow_spinning=0"),
        ("=1", "no KEY=VALUE", ""),
        ("execution_mod=parallel", "unknown session option", "did you mean execution_mode?"),
        ("color=red", "unknown session option", "intra_op_num_threads"),
        ("execution_mode=fast", "sequential or parallel, not 'fast'", ""),
        ("enable_mem_pattern=yes", "0 or 1, not 'yes'", ""),
        ("intra_op_num_threads=-1", "0 or more, not '-1'", ""),
        ("graph_optimization_level=0", "--opt-level", ""),
        ("a.b=" + "x" * 5000, "4096", ""),
    ],
)
def test_mistake_is_refused_before_anything_starts(pair, says, hint):
    with pytest.raises(UsageError, match=says) as caught:
        check_options(CaptureOptions(model="bert-base-uncased", session_options=(pair,)))
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["session_options", "disabled_optimizers"])
def test_options_of_a_session_have_no_use_without_one(name):
    given = {name: ("session.a=1",)}
    with pytest.raises(UsageError, match="no use when PyTorch"):
        check_options(CaptureOptions(model="m", against_itself="torch", **given))


def test_options_reach_the_worker_and_the_manifest(tmp_path):
    options = CaptureOptions(
        model="m", session_options=("enable_mem_pattern=0",), disabled_optimizers=("GeluFusion",)
    )
    side = new_side(options, "onnxruntime", "ort", 2)
    command = open_command(options, tmp_path, tmp_path, 2, "")
    assert side.session_options == command.session_options == {"enable_mem_pattern": "0"}
    assert side.disabled_optimizers == command.disabled_optimizers == ("GeluFusion",)
