"""Proof that a fix can be followed: its commands are started as far as the engines, its Python is looked up."""

import ast
import importlib
import re
import shlex
from itertools import pairwise

import pytest

from attrib.capture.config.variables import variables_of
from attrib.cli.main import attrib
from attrib.model.capture_options import OPTIONS
from attrib.verify.experiments import EXPERIMENTS

MENTIONED = {"attrib profile", "attrib doctor"}
"""Commands that a fix speaks of, and that do not stand for a whole one."""

PLACEHOLDERS = {"TRACE_DIR", "NODE", "NAME", "MODEL"}

OWN_NAMES = {
    "session": "onnxruntime.InferenceSession",
    "session_options": "onnxruntime.SessionOptions",
    "binding": "onnxruntime.IOBinding",
    "torch": "torch",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
}
"""What the names in a fix's Python stand for, where they are not the reader's own."""


class EnginesStart(BaseException):
    """The command was read and checked, and its model was found: from here on engines run."""


def codes_in(fix):
    """Everything that a fix sets as code."""
    return re.findall(r"`([^`]+)`", fix)


_OF_THE_SAMPLE = set()
"""Commands that read the sample, and did: the same in every proof of this process."""


class Proof:
    """Starts commands in this process; what was started before is not started again."""

    def __init__(self, monkeypatch, trace_dir, node):
        self.started = set()
        self._monkeypatch, self._trace_dir, self._node = monkeypatch, trace_dir, node
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setattr("attrib.capture.session.capture.run_session", self._stop)

    def _stop(self, make):
        raise EnginesStart

    def holds(self, fix):
        """Assert that everything in a fix can be followed."""
        for code in codes_in(fix):
            if code in MENTIONED or code in self.started:
                continue
            if code.startswith("attrib "):
                self._start(code)
            elif code.startswith("export "):
                variables_of(code.split()[1:])
            elif code.startswith("-"):
                # only what the reader has to leave out himself, because nobody knows his command
                assert f"without `{code}`" in fix, fix
                assert code in {option.flag for option in OPTIONS}, fix
            else:
                look_up(code)
            self.started.add(code)

    def _start(self, command):
        words = shlex.split(command)[1:]
        if words[0] == "verify":
            ids = [word for flag, word in pairwise(words) if flag == "--experiment"]
            assert ids, command
            known = {experiment.id for experiment in EXPERIMENTS}
            assert set(ids) <= known, command
            self._run([*words, "--list"], command)
        elif words[0] == "explain":
            self._run(words, command)
        else:
            assert words[0] == "profile", command
            assert "--model" in words, command
            rewrites = [word for flag, word in pairwise(words) if flag == "--optimize"]
            assert len(rewrites) == len(set(rewrites)), command
            with pytest.raises(EnginesStart):
                self._run([word if word != "MODEL" else "bert-base-uncased" for word in words], command)

    def _run(self, words, command):
        if command in _OF_THE_SAMPLE:
            return
        known = {"TRACE_DIR": str(self._trace_dir), "NODE": self._node}
        words = [known.get(word, word) for word in words]
        assert PLACEHOLDERS.isdisjoint(words), command
        self._monkeypatch.setattr("sys.argv", ["attrib", *words])
        attrib.main(args=words, prog_name="attrib", standalone_mode=False)
        _OF_THE_SAMPLE.add(command)  # a capture does not get so far


def look_up(code):
    """Assert that a piece of Python can be compiled, and that what it takes from the engines is there."""
    source = f"it{code}" if code.startswith(".") else code
    tree = ast.parse(source)
    for found in ast.walk(tree):
        if isinstance(found, ast.Attribute):
            names = _chain(found)
            if names and names[0] in OWN_NAMES:
                _resolve([*OWN_NAMES[names[0]].split("."), *names[1:]])


def _chain(found):
    names = []
    while isinstance(found, ast.Attribute):
        names.insert(0, found.attr)
        found = found.value
    return [found.id, *names] if isinstance(found, ast.Name) else []


def _resolve(names):
    value, path = importlib.import_module(names[0]), names[0]
    for name in names[1:]:
        path += f".{name}"
        if not hasattr(value, name):
            importlib.import_module(path)
        value = getattr(value, name)


def printed(document):
    """The fixes that a report prints, by what prints them."""
    found = {finding.id: finding.fix for finding in document.findings if finding.state == "failed"}
    return found | {check.check: check.fix for check in document.comparability if check.state != "passed"}
