"""ONNX Runtime's worker: sessions, inputs, profiles, and what its profiler costs.

A worker loads `engine` by name (`ENGINES` of `attrib.capture.workers.worker`), under other interpreters too: there only
onnxruntime, numpy and msgspec are sure to be installed. From outside `placement` and `feeds` are imported, which need no
engine at import. It knows neither PyTorch's worker nor a session of attrib's.
"""
