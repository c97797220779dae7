"""PyTorch's worker: eager and compiled models, module scopes, profiles, and what its profiler costs.

A worker loads `engine` by name (`ENGINES` of `attrib.capture.workers.worker`); from outside only `kineto_merge` is imported,
which needs no engine. It knows neither ONNX Runtime's worker nor the exporter.
"""
