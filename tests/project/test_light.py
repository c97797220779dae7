"""What stays light: the help, the version, and the whole of `attrib report`."""

import subprocess
import sys

import pytest

ENGINES = ("torch", "onnxruntime", "transformers")


def modules_after(code: str, *argv: str) -> set[str]:
    program = f"import sys; sys.argv = {['attrib', *argv]!r}\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n"))


def test_help_imports_neither_an_engine_nor_a_table_library():
    loaded = modules_after("from attrib.cli.main import run\nrun(['--help'])")
    assert not loaded & {*ENGINES, "pandas", "numpy", "onnx", "plotly", "jinja2", "scipy"}


def test_report_on_a_sample_imports_no_engine(root, tmp_path):
    sample = root / "sample_traces" / "bert-base-uncased"
    argv = ["report", str(sample), "-o", str(tmp_path / "r.html")]
    code = f"from attrib.cli.main import run\nassert run({argv!r}) == 0"
    loaded = modules_after(code)
    assert not loaded & {*ENGINES, "onnxscript", "onnx_ir", "pandas", "plotly", "scipy"}
    assert not loaded & {"subprocess", "importlib.resources"}  # what only large traces, or nobody, needs
    assert (tmp_path / "r.html").stat().st_size > 100_000


def test_what_a_report_imports_makes_its_classes_cheaply(root, tmp_path):
    argv = ["report", str(root / "sample_traces" / "bert-base-uncased"), "-o", str(tmp_path / "r.html")]
    code = (
        "import dataclasses\nmade, process = [], dataclasses._process_class\n"
        "def counted(cls, *args, **kwargs):\n    made.append(cls.__module__)\n    return process(cls, *args, **kwargs)\n"
        "dataclasses._process_class = counted\n"
        f"from attrib.cli.main import run\nassert run({argv!r}) == 0\n"
        "assert sum(name.startswith('attrib.') for name in made) < 20, made"
    )
    assert modules_after(code)


def test_an_ending_process_looks_for_no_garbage():
    code = (
        "import atexit, gc, sys\nfrom attrib.cli.main import main\n"
        "atexit.register(lambda: print('frozen', gc.get_freeze_count() > 0))\n"
        "sys.argv = ['attrib', '--version']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("frozen True\n")


@pytest.mark.parametrize("name", ["load", "profile"])
def test_the_python_interface_is_reached_without_importing_an_engine(name):
    loaded = modules_after(f"import attrib\nassert callable(attrib.{name})")
    assert not loaded & set(ENGINES)
