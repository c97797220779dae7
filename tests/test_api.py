"""The Python interface."""

import pytest


def test_an_analysis_says_its_verdict_in_one_line(sample_analysis):
    text = repr(sample_analysis)
    assert text.startswith("<attrib.Analysis of bert-base-uncased: ONNX Runtime")
    assert "a step" in text
    assert len(text) < 300
    assert "\n" not in text


def test_a_notebook_shows_the_report_in_a_frame_that_can_do_nothing(sample_analysis):
    text = sample_analysis._repr_html_()
    assert text.startswith('<iframe sandbox="" ')
    assert text.endswith("></iframe>")
    inside = text[text.index("srcdoc=") :]
    assert "<script" not in inside
    assert "&lt;script" in inside
    assert inside.count('"') == 8  # nothing of the page ends an attribute
    assert len(text) < 1_500_000


def test_what_the_report_says_is_there_as_data(sample_analysis):
    assert sample_analysis.verdict.sentence.startswith("ONNX Runtime is")
    assert sample_analysis.verdict.significant
    assert sample_analysis.causes[0].cause == "kernel"
    assert {finding.state for finding in sample_analysis.findings} == {"failed"}


def test_dir_shows_what_there_is():
    import attrib

    assert dir(attrib) == ["__version__", "compare", "diff", "load", "profile", "verify"]


def test_a_diff_takes_directories_and_documents(sample, sample_analysis):
    import attrib

    found = attrib.diff(sample, sample_analysis.document)
    assert (found.before.name, found.after.name) == (sample.name, "after")
    assert found.delta_ns.median == 0


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter
def test_a_live_module_is_compared_with_a_live_session(tmp_path, monkeypatch):
    """The session's file, threads and level are those of the capture."""
    import onnxruntime
    import torch

    import attrib

    module = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU()).eval()
    x = torch.randn(2, 8)
    torch.onnx.export(module, (x,), tmp_path / "model.onnx", dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    analysis = attrib.compare(module, session, [x], output=tmp_path / "traces", launches=1, max_time=0.0)
    side = analysis.document.sides["onnxruntime"]
    assert (side.threads, side.opt_level, side.exporter) == (1, "basic", "file")
    assert all(output.equal for output in analysis.document.outputs)


def test_a_model_of_sentence_transformers_stands_for_a_model():
    import attrib
    from attrib.errors import AttribError, UsageError

    with pytest.raises(AttribError, match="there is no directory nowhere"):
        attrib.profile(sentence_transformer="./nowhere")
    with pytest.raises(UsageError, match="say nothing of what to run"):
        attrib.profile()


def test_a_session_of_bytes_is_refused_in_one_line():
    import attrib
    from attrib.errors import UsageError

    with pytest.raises(UsageError, match="made of bytes"):
        attrib.compare(None, object(), [1])
