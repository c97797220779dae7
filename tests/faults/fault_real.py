"""Kill a real capture of a small BERT, or one of its workers, at random moments: `python tests/faults/fault_real.py 50`.

Each moment is one line: what was killed, what the report said then, and how the capture was finished.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fault_harness import Launcher
from fault_kills import measure, moments, survive

MODEL = """
import torch


def bert():
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=500
    )
    ids = torch.randint(5, 500, (1, 16))
    return BertModel(config), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
"""
OPTIONS = {
    "rounds": 4,
    "iterations": 3,
    "warmup": 3,
    "launches": 1,
    "max_time": 0.0,
    "threads": 1,
    "exporter": "torchscript",
}


def kills(folder: Path, count: int, seed: int) -> Counter[str]:
    """Kill, check and finish at so many moments; what was found."""
    (folder / "small_bert.py").write_text(MODEL)
    found: Counter[str] = Counter()
    with Launcher(folder, fake=False, model="small_bert.py:bert", **OPTIONS) as launcher:
        seconds, changes = measure(launcher, folder)
        for moment in moments(count, seconds, changes, seed):
            what = survive(launcher, folder, moment, OPTIONS["rounds"])
            say(f"{moment} {what}")
            found[what.partition(": ")[2]] += 1
    return found


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run them all and print the counts."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = kills(Path(folder), count, seed)
    for what, times in found.most_common():
        say(f"{times:3d}  {what}")
    say(f"{count} kills, none of them lost anything, {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
