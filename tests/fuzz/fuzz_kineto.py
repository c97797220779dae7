"""Coverage-guided fuzzing of the Kineto reader: `python tests/fuzz/run.py` starts it; libFuzzer's options go after it."""

from fuzz_traces import fuzz

if __name__ == "__main__":
    fuzz("kineto")
