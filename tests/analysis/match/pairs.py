"""Pairs of recorded work with their true regions: what a capture knew, cut down to what a foreign pair knows.

`python tests/analysis/match/pairs.py TRACE_DIR... -o FOLDER` records captures (of the factory below, or any other).
The true regions are those that the capture's own graphs and metadata give.
"""

import argparse
import gzip
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from attrib.analysis.match.regions import regions
from attrib.model.region import Region
from attrib.model.work import Work
from tests.analysis.match.scoring import Score, score_of_times

FOLDER = Path(__file__).with_name("pairs")


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides' work, the median time of each node in nanoseconds, and the true regions."""

    calls: tuple[Work, ...]
    nodes: tuple[Work, ...]
    times: dict[str, int]
    truth: tuple[Region, ...]

    def score(self, calls: tuple[Work, ...] | None = None, nodes: tuple[Work, ...] | None = None) -> Score:
        """How good the regions are that are found without any graph, e.g. for work with less evidence."""
        found = regions(calls or self.calls, nodes or self.nodes)
        return score_of_times(found, self.truth, self.calls, self.times)


def pair_of(trace_dir: Path) -> Pair:
    """The pair of a capture."""
    from attrib import load

    analysis = load(trace_dir)
    torch, ort = analysis.partitions["torch"], analysis.partitions["onnxruntime"]
    medians = np.median(ort.work_ns, axis=1).astype(int).tolist()
    bare = [
        msgspec.structs.replace(r, match=msgspec.structs.replace(r.match, evidence=()))
        for r in analysis.regions
    ]
    return Pair(
        calls=torch.work,
        nodes=ort.work,
        times=dict(zip((w.id for w in ort.work), medians, strict=True)),
        truth=tuple(msgspec.structs.replace(r, exported=(), lineage=()) for r in bare),
    )


def recorded(name: str) -> Pair:
    """A recorded pair."""
    return msgspec.json.decode(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()), type=Pair)


def small_bert(attention: str = "sdpa") -> tuple[Any, dict[str, Any]]:
    """Three layers of BERT, 256 wide, with every tensor distinct; 48 tokens, so that no two sizes are equal by chance."""
    import torch
    import transformers

    config = transformers.BertConfig(
        hidden_size=256, num_hidden_layers=3, num_attention_heads=4, intermediate_size=1024, vocab_size=2000,
        attn_implementation=attention,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.BertModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    tokens = torch.randint(5, 2000, (1, 48))
    rest = {"attention_mask": torch.ones_like(tokens), "token_type_ids": torch.zeros_like(tokens)}
    return model.eval(), {"input_ids": tokens, **rest}


def sdpa() -> tuple[Any, dict[str, Any]]:
    """A factory for `attrib profile --model tests/analysis/match/pairs.py:sdpa`."""
    return small_bert("sdpa")


def eager() -> tuple[Any, dict[str, Any]]:
    """A factory for `attrib profile --model tests/analysis/match/pairs.py:eager`."""
    return small_bert("eager")


def main() -> None:
    """Record captures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("captures", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER)
    options = parser.parse_args()
    options.output.mkdir(exist_ok=True)
    for path in options.captures:
        data = gzip.compress(msgspec.json.encode(pair_of(path)), mtime=0)
        (options.output / f"{path.name}.json.gz").write_bytes(data)


if __name__ == "__main__":
    main()
