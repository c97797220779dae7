"""What a capture says of its workload."""

import pytest

from attrib.capture.session.record import sequence_length
from attrib.model.tensor import Tensor


@pytest.mark.parametrize(
    ("dtype", "shape", "length"),
    [
        ("int64", (1, 128), 128),
        ("float", (2, 16, 768), 16),
        ("float", (64, 256), 0),
        ("float", (1, 3, 224, 224), 0),
        ("bool", (), 0),
    ],
)
def test_only_a_sequence_has_a_length(dtype, shape, length):
    assert sequence_length(Tensor(dtype, shape)) == length
