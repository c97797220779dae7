"""How reading, analysing and reporting a whole trace directory grow: a BERT of tiny width, recorded with both engines.

28, 85 and 285 layers make 1,000, 3,000 and 10,000 executed nodes; one layer in 1, 10 and 100 rounds makes 2 to 1,000
profiled steps. Every measurement is a process of its own, so that its peak memory is its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = (28, 85, 285)
ROUNDS = (1, 10, 100)

FACTORY = """\
import torch
from transformers import BertConfig, BertModel

def model():
    config = BertConfig(
        hidden_size=16, num_hidden_layers={layers}, num_attention_heads=2, intermediate_size=32, vocab_size=50,
        max_position_embeddings=16,
    )
    return BertModel(config, add_pooling_layer=False).eval(), {{"input_ids": torch.ones(1, 8, dtype=torch.int64)}}
"""

RECORD = """\
import sys
from pathlib import Path
from attrib.capture import CaptureOptions, capture
capture(CaptureOptions(model=sys.argv[1] + ":model", output=Path(sys.argv[2]), rounds=int(sys.argv[3]), iterations=2,
                       warmup=2))
"""

MEASURE = """\
import gc, json, re, sys, time
gc.disable()  # as `attrib report` does
from attrib.api import load
from attrib.report.files import render
def spent(work):
    begin = time.process_time()
    return work(), time.process_time() - begin
analysis, loading = spent(lambda: load(sys.argv[1]))
page, html = spent(lambda: render(analysis.document, "html", static=True))
text, as_json = spent(lambda: render(analysis.document, "json"))
# Not ru_maxrss: that of a child begins with what its parent had when it forked.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
print(json.dumps(dict(
    steps=max(p.steps for p in analysis.partitions.values()), rows=len(analysis.ledger_rows.rows),
    nodes=max(len(p.work) for p in analysis.partitions.values()), load=loading, html=html, json=as_json,
    page=len(page), text=len(text), peak=peak)))
"""


def python(code: str, *args: object) -> str:
    """What a process of its own prints."""
    command = [sys.executable, "-c", code, *map(str, args)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ)
    )
    return done.stdout.strip()


def recorded(folder: Path, layers: int, rounds: int) -> Path:
    """A capture of so many layers and rounds; the one that is there, where there is one."""
    directory = folder / f"layers-{layers}-rounds-{rounds}"
    if not (directory / "manifest.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        factory = folder / f"bert_{layers}.py"
        factory.write_text(FACTORY.format(layers=layers))
        python(RECORD, factory, directory, rounds)
    return directory


def directories_table(folder: Path) -> None:
    """Record the captures and print a row for each."""
    sys.stdout.write(
        "\n| layers | nodes | profiled steps | load | page | JSON | page size | JSON size | rows | peak memory |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
    )
    for layers, rounds in [*((n, 12) for n in LAYERS), *((1, n) for n in ROUNDS)]:
        it = json.loads(python(MEASURE, recorded(folder, layers, rounds)))
        sys.stdout.write(
            f"| {layers} | {it['nodes']:,} | {it['steps']:,} | {it['load']:.2f} s | {it['html']:.2f} s"
            f" | {it['json']:.2f} s | {it['page'] / 1e6:.2f} MB | {it['text'] / 1e6:.2f} MB | {it['rows']:,}"
            f" | {it['peak'] / 2**20:.0f} MiB |\n"
        )
        sys.stdout.flush()
