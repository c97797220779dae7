"""Coverage-guided fuzzing of the ONNX Runtime profile reader: `python tests/fuzz/run.py` starts it."""

from fuzz_traces import fuzz

if __name__ == "__main__":
    fuzz("ort-profile")
