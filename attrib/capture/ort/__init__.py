"""ONNX Runtime's worker: sessions, inputs, profiles, and what its profiler costs."""
