def test_an_analysis_says_its_verdict_in_one_line(sample_analysis):
    text = repr(sample_analysis)
    assert text.startswith("<attrib.Analysis of bert-base-uncased: ONNX Runtime")
    assert "a step" in text
    assert len(text) < 300
    assert "\n" not in text
