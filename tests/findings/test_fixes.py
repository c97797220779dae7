"""Every fix that is printed can be followed: its commands start, and nothing is advised that is so already."""

import functools
from dataclasses import replace

import click
import msgspec
import pytest

from attrib.api import load
from attrib.errors import AttribError
from attrib.findings.commands import with_whole_commands
from attrib.findings.comparability.checks import CHECKS, checks
from attrib.findings.registry import RULES
from attrib.findings.runner import run
from attrib.model.manifest import Rewrite
from tests.findings.evidence_factory import tensor
from tests.findings.fix_proof import Proof, look_up, printed
from tests.findings.made_analysis import PIECES, Chances, analysis_of, linear, on_the_host

FACTORY = """
from torch import nn
import torch

def make():
    return nn.Linear(8, 8), (torch.zeros(1, 8),)
"""


@pytest.fixture
def proof(monkeypatch, sample, sample_analysis):
    node = next(row.onnx_nodes[0] for row in sample_analysis.document.ledger if row.onnx_nodes)
    return Proof(monkeypatch, sample, node)


@pytest.mark.parametrize("name", ["bert-base-uncased", "distilbert-base-uncased"])
def test_every_fix_of_a_sample_starts(root, proof, name):
    document = load(root / "sample_traces" / name).document
    for fix in printed(document).values():
        proof.holds(fix)
    profiles = [code for code in proof.started if code.startswith("attrib profile")]
    assert profiles
    assert all(f"--model {name}" in code for code in profiles)


BUILT_IN = {"model": "bert-base-uncased", "source": "built-in", "attention": "sdpa"}
OWN = {"model": "models.py:make", "source": "factory", "attention": ""}

HELD_BACK = (
    "--model bert-base-uncased --opt-level basic --disable-optimizer MatMulAddFusion --session-option"
    " session.set_denormal_as_zero=1"
)
CAPTURES = {
    # what was captured: its command, its workload, its sides, whether sizes are free
    "built-in": ("--model bert-base-uncased", BUILT_IN, {}, {}, False),
    "as foreign traces": (None, BUILT_IN, {}, {}, False),
    "from Python": ("", BUILT_IN, {}, {}, False),
    "factory": ("--model models.py:make --threads 1", OWN, {}, {}, False),
    "example": ("--model two-linears", {**OWN, "model": "two-linears", "source": "built-in"}, {}, {}, False),
    "torchscript": (
        "--model bert-base-uncased --exporter torchscript --opset 18", BUILT_IN, {}, {"exporter": "torchscript"}, False,
    ),
    "opset 23": ("--model bert-base-uncased --opset=23", BUILT_IN, {}, {"opset": 23}, False),
    "own graph": ("--model models.py:make --onnx g.onnx", OWN, {}, {"exporter": "file"}, False),
    "free sizes": ("--model bert-base-uncased --dynamic-shapes", BUILT_IN, {}, {}, True),
    "held back": (
        HELD_BACK,
        BUILT_IN,
        {"warmed_up": False, "warmup": 20, "idle_cpu_share": 0.5, "mode": "compile"},
        {
            "disabled_optimizers": ("MatMulAddFusion",), "idle_cpu_share": 0.5, "warmed_up": False, "warmup": 10,
            "session_options": {"session.set_denormal_as_zero": "1"}, "settings": {"io_binding": "true"},
        },
        False,
    ),
    "converted": (
        "--model bert-base-uncased --optimize int8-dynamic --optimize onnxslim", BUILT_IN, {},
        {"rewrites": tuple(Rewrite(name=name, tool="", graph="") for name in ("int8-dynamic", "onnxslim"))}, False,
    ),
    "unlike": (
        "--model bert-base-uncased --autocast --precision bf16", {**BUILT_IN, "precision": "bf16"},
        {"settings": {"autocast": "bf16", "attention": "eager", "training": "true", "inference_mode": "false",
                      "matmul_precision": "high", "mkldnn": "false", "precision": "fp32", "denormal_weights": "900000",
                      "device": "cpu", "changed_state": "seen"}},
        {"settings": {"attention": "sdpa", "precision": "bf16", "io_binding": "false"},
         "requested_providers": ("DmlExecutionProvider",)}, False,
    ),
}  # fmt: skip


HARD = {"held back": 0.3}
"""Kinds of captures whose profile is so much longer than the plain step."""


@functools.cache
def analyses(plain):
    """Made-up analyses in which every rule finds what it looks for, in few pieces at a time."""
    groups = [PIECES[start::8] for start in range(8)]
    return [
        analysis_of(
            (*group, linear),
            Chances(
                favor=favor, spread=0.3, padding=0.5, level="basic", threads=(1, 4), plain=plain, faults=0.5,
                on_gpu=on_the_host in group,
            ),
        )
        for group in groups
        for favor in (0.2, 5.0)
    ]  # fmt: skip


def captured(name):
    """Made-up evidence of captures of that kind, each with the manifest that its fixes are completed from."""
    command, workload, torch, ort, free = CAPTURES[name]
    for evidence in analyses(HARD.get(name, 1.0)):
        sides = {
            role: msgspec.structs.replace(
                side, **{**changes, "settings": {**side.settings, **changes.get("settings", {})}}
            )
            for (role, side), changes in zip(evidence.manifest.sides.items(), (torch, ort), strict=True)
        }
        manifest = msgspec.structs.replace(
            evidence.manifest,
            workload=msgspec.structs.replace(evidence.manifest.workload, **workload),
            sides=sides,
            command=f"attrib profile {command} -o out" if command else "",
            environment=msgspec.structs.replace(
                evidence.manifest.environment, usable_cores=2.0, stolen_share=0.3, load_before=9.0
            ),
        )
        sizes = {"x": tensor(-1 if free else 1, 32)}
        graphs = {
            graph: msgspec.structs.replace(its, values={**its.values, **sizes})
            for graph, its in evidence.graphs.items()
        }
        unsteady = name == "held back"
        yield (
            manifest,
            replace(
                evidence,
                manifest=None if command is None else manifest,
                graphs={} if command is None else graphs,
                plain_ns={role: drifting(blocks) for role, blocks in evidence.plain_ns.items()}
                if unsteady
                else evidence.plain_ns,
                warmup_ns=dict.fromkeys(evidence.plain_ns, (10**13,)),
                launches=1 if unsteady else evidence.launches,
            ),
        )


def drifting(blocks):
    """Blocks that become slower one after the other, the first step of each far slower than the others."""
    return tuple((block[0] * 3, *(step * (20 + i) // 20 for step in block)) for i, block in enumerate(blocks))


@functools.cache
def fixes_of(name):
    """What reports of captures of that kind print, by what prints it."""
    found = {}
    for manifest, evidence in captured(name):
        told = manifest if evidence.manifest is not None else None
        findings = with_whole_commands([f for f in run(evidence) if f.state == "failed"], told)
        answers = with_whole_commands([c for c in checks(evidence) if c.state != "passed"], told)
        for what, fix in (*((f.id, f.fix) for f in findings), *((c.check, c.fix) for c in answers)):
            found.setdefault(what, set()).add(fix)
    return found


def said(name):
    return " ".join(fix for fixes in fixes_of(name).values() for fix in sorted(fixes))


@pytest.fixture
def with_files(tmp_path, monkeypatch):
    (tmp_path / "models.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("with_files")
@pytest.mark.parametrize("name", CAPTURES)
def test_every_fix_of_a_rule_or_check_starts_for_every_kind_of_capture(proof, name):
    for fixes in fixes_of(name).values():
        for fix in fixes:
            proof.holds(fix)
    assert proof.started


@pytest.mark.parametrize(
    ("name", "never"),
    [
        ("torchscript", "--opset 23"),  # only the dynamo exporter writes Attention
        ("torchscript", "--exporter torchscript --opset 18 --exporter"),
        ("opset 23", "--opset 23"),
        ("own graph", "--exporter"),
        ("own graph", "--opset"),
        ("factory", "--attention"),
        ("factory", "--seq-len"),
        ("factory", "--batch-size"),
        ("example", "--seq-len"),
        ("held back", "--torch-mode compile"),
        ("built-in", "dynamic-shapes"),
        ("unlike", "register_buffer"),  # a step changes what the calls may read
        ("built-in", "record with `attrib profile`"),
    ],
)
def test_what_is_so_already_or_does_not_apply_is_not_advised(name, never):
    assert never not in said(name)


@pytest.mark.parametrize(
    ("name", "advised"),
    [
        ("built-in", "--opset 23"),
        ("built-in", "--torch-mode compile"),
        ("built-in", "--seq-len 16"),
        ("built-in", "--batch-size 2"),
        ("built-in", "--exporter torchscript"),
        ("torchscript", "--exporter dynamo"),
        ("factory", "register_buffer"),
        ("as foreign traces", "record with `attrib profile`"),
        ("free sizes", "`attrib profile --model bert-base-uncased`"),  # without --dynamic-shapes
        ("held back", "`attrib profile --model bert-base-uncased --opt-level basic --session-option"),
        ("converted", "--model bert-base-uncased --optimize onnxslim --optimize int8-q"),
        ("unlike", "`attrib profile --model bert-base-uncased --precision fp32`"),  # and no autocast
    ],
)
def test_what_applies_is_advised(name, advised):
    assert advised in said(name)


def test_every_rule_and_check_is_among_those_whose_fixes_were_followed():
    seen = {what for name in CAPTURES for what, fixes in fixes_of(name).items() if any(fixes)}
    assert {rule.id for rule in RULES} | {condition.name for condition in CHECKS} == seen


@pytest.mark.parametrize("code", ["torch.no_such_thing(1)", "session.no_such_method()", "a b"])
def test_the_proof_finds_what_is_not_there(code):
    with pytest.raises((AttributeError, ModuleNotFoundError, SyntaxError)):
        look_up(code)


@pytest.mark.parametrize(
    "fix",
    [
        "`attrib profile --opset 23`",
        "`attrib profile --model m --nonsense 1`",
        "`--opset 23`",
        "`attrib verify TRACE_DIR --experiment nonsense`",
        "`attrib profile --model bert-base-uncased --optimize nonsense`",
    ],
)
def test_the_proof_finds_a_command_that_does_not_start(proof, fix):
    with pytest.raises((AssertionError, AttribError, click.ClickException)):
        proof.holds(fix)
    assert not proof.started
