"""What was disturbed is measured again; what is steady is not."""

from attrib.model.capture_options import CaptureOptions
from attrib.verify.measuring import MOST_ATTEMPTS, Measuring, Setup
from tests.verify.fakes import FakeComparison

MS = 1_000_000
ORIGINAL = CaptureOptions(model="bert-base-uncased")
QUIET = tuple((100 * MS, 101 * MS, 100 * MS) for _ in range(8))
FASTER = tuple((90 * MS, 91 * MS, 90 * MS) for _ in range(8))
DISTURBED = tuple(((90 if number % 2 else 900) * MS,) * 3 for number in range(8))


class Bench:
    """Gives prepared blocks of the variant, one set a comparison."""

    def __init__(self, *variants):
        self.variants = list(variants)
        self.compared = 0

    def compare(self, _baseline, _variant, _role, **_how):
        blocks = self.variants[min(self.compared, len(self.variants) - 1)]
        self.compared += 1
        return FakeComparison(QUIET, blocks, (), same=False)


def measured(bench):
    measuring = Measuring(Setup(options=ORIGINAL, captured_ns={}, rounds=8), lambda: bench)
    return measuring.compare(ORIGINAL, ORIGINAL, "onnxruntime")


def test_a_steady_measurement_is_made_once():
    bench = Bench(FASTER)
    assert measured(bench).variant_ns == FASTER
    assert bench.compared == 1


def test_a_disturbed_measurement_is_made_again_and_the_steady_one_counts():
    bench = Bench(DISTURBED, FASTER)
    assert measured(bench).variant_ns == FASTER
    assert bench.compared == 2


def test_a_machine_that_never_rests_ends_the_attempts():
    bench = Bench(DISTURBED)
    assert measured(bench).variant_ns == DISTURBED
    assert bench.compared == MOST_ATTEMPTS
