import pytest

from attrib.capture.config.options import check_options
from attrib.capture.config.variables import recorded_variables, take_variables, variables_of
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions


def test_the_last_of_two_holds_and_a_value_is_taken_as_it_is():
    given = ("A=1", "B= x=y ", "A=2", "C=")
    assert variables_of(given) == {"A": "2", "B": " x=y ", "C": ""}


@pytest.mark.parametrize(
    "pair", ["A", "=1", "1A=2", "A B=1", "A=\0", "TMPDIR=/x", "TORCHINDUCTOR_CACHE_DIR=/x"]
)
def test_mistake_is_refused_before_anything_starts(pair):
    with pytest.raises(UsageError, match="--env"):
        check_options(CaptureOptions(model="two-linears", env=(pair,)))


NUMBER, LIBRARY = {"MALLOC_TRIM_THRESHOLD_": "1024"}, {"LD_PRELOAD": "libx.so"}


def test_a_number_of_a_known_kind_is_taken_from_a_directory():
    assert recorded_variables(NUMBER | LIBRARY) == ("MALLOC_TRIM_THRESHOLD_=1024",)
    assert take_variables(NUMBER, ()) == ("MALLOC_TRIM_THRESHOLD_=1024",)


@pytest.mark.parametrize(
    "recorded", [LIBRARY, {"MALLOC_TRIM_THRESHOLD_": "/tmp/x"}, {"PYTHONPATH": "."}, {"OMP_NUM_THREADS": "२"}]
)
def test_anything_else_is_named_again_by_the_user(recorded):
    (name,) = recorded
    assert recorded_variables(recorded) == ()
    with pytest.raises(UsageError, match=name) as caught:
        take_variables(recorded, ())
    assert f"--env {name}=VALUE" in caught.value.hint
    assert take_variables(recorded, (f"{name}=mine",)) == (f"{name}=mine",)


def test_nothing_is_named_that_the_capture_did_not_have():
    with pytest.raises(UsageError, match="the capture set no LD_PRELOAD"):
        take_variables(NUMBER, ("LD_PRELOAD=x",))
