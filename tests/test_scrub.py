"""What may leave the machine: no home, no names, no absolute path; names of graph nodes stay."""

import getpass
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib import scrub as module
from attrib.scrub import scrub

CASES = [
    ('File "/srv/my models/x.py", line 3', 'File "x.py", line 3'),
    ("/opt/v/lib/python3.11/site-packages/torch/nn/m.py:12", "torch/nn/m.py:12"),
    ("/usr/lib/python3/dist-packages/yaml/a.py", "yaml/a.py"),
    ("https://me:secret@hub.example/bert", "https://hub.example/bert"),
    (r"C:\Users\Jane Doe\a\b.onnx", "b.onnx"),
    (r"\\server\share\f.txt", "f.txt"),
    ("file:///home/someone/b.txt", "b.txt"),
    ("/home/someone", "~"),
    ("model=/tmp/tmp1a/b.onnx, y", "model=b.onnx, y"),
    ("--onnx ~/x/y.onnx", "--onnx y.onnx"),
    ("/unheard-of/place/run.py", "run.py"),
]


@pytest.mark.parametrize(("text", "clean"), CASES)
def test_places_are_reduced(text, clean):
    assert scrub(text) == clean


@pytest.mark.parametrize(
    "text",
    ["/encoder/layer.0/attention/self/query/MatMul", "a/b 2/3 and/or", "https://hub.example/a/b", "bert"],
)
def test_what_only_looks_like_a_path_is_kept(text):
    assert scrub(text) == text


@pytest.fixture
def person(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "marlene")
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-box-7.lab.example")
    monkeypatch.setattr(Path, "home", lambda: Path("/data 1/marlene"))
    for cached in (module._homes, module._names):
        cached.cache_clear()
    yield
    for cached in (module._homes, module._names):
        cached.cache_clear()


@pytest.mark.usefixtures("person")
def test_names_of_the_user_and_the_host_go():
    text = scrub("marlene@gpu-box-7 ran /data 1/marlene/job/a.py on GPU-BOX-7.lab.example")
    assert text == "<user>@<host> ran a.py on <host>"


@pytest.mark.usefixtures("person")
def test_a_name_inside_a_word_is_kept():
    assert scrub("marlene-base-uncased") == "marlene-base-uncased"


@pytest.mark.usefixtures("person")
@given(before=st.text(alphabet=" :='(,", max_size=3), tail=st.text(alphabet="abc./ ", max_size=12))
def test_the_home_directory_never_survives(before, tail):
    clean = scrub(f"{before}/data 1/marlene/{tail}")
    assert "marlene" not in clean
    assert scrub(clean) == clean
