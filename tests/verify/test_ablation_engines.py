"""One real ablation: the plain cost of the largest region beside the ledger's figure."""

import json

import pytest

from attrib.api import load
from attrib.capture import CaptureOptions, capture
from attrib.verify import run
from attrib.verify.plan import Request

pytestmark = [pytest.mark.engines, pytest.mark.slow, pytest.mark.alone]

FACTORY = """
import torch


def bert():
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=256, num_hidden_layers=2, num_attention_heads=4, intermediate_size=1024, vocab_size=500
    )
    ids = torch.randint(5, 500, (1, 64))
    return BertModel(config), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
"""

MARGIN = 0.15
"""Share of the ledger's figure: two processes apart, and what a node does to the caches of its neighbors."""

STEP_MARGIN = 0.01
"""Share of the step that no figure can be trusted below."""


def test_largest_region_costs_in_plain_steps_what_the_ledger_gives_it(tmp_path):
    (tmp_path / "mine.py").write_text(FACTORY)
    model = f"{tmp_path / 'mine.py'}:bert"
    gaps = []
    for attempt in range(3):
        directory = tmp_path / f"trace-{attempt}"
        capture(CaptureOptions(model=model, output=directory, rounds=8, threads=1, launches=1, max_time=0.0))
        name = largest_region(directory)
        (result,) = run(directory, Request(ablate=(name,)), model=model, rounds=12)
        assert (result.id, result.state, result.outputs_equal) == (f"ablate-{name}", "measured", True)
        assert all(row.max_abs == 0 for row in result.outputs)
        gaps.append(gap(result))
        if gaps[-1] <= 0:
            break
    assert min(gaps) <= 0, gaps
    stored = [json.loads(file.read_bytes()) for file in (directory / "verify").iterdir()]
    assert [entry["id"] for entry in stored] == [result.id]
    assert [found.id for found in load(directory).document.experiments] == [result.id]


def largest_region(directory):
    analysis = load(directory)
    ledger = analysis.ledger_rows
    return max(analysis.regions, key=lambda region: ledger.work("onnxruntime", region.nodes).median).id


def gap(result):
    """How far the two intervals are apart beyond the margins, nanoseconds; negative where they meet."""
    predicted, measured = result.predicted.saving_ns, result.saving_ns
    margin = MARGIN * predicted.median + STEP_MARGIN * result.baseline_ns.median
    return max(predicted.low - measured.high, measured.low - predicted.high) - margin
