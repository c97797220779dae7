"""The exporter's worker: PyTorch's model to an ONNX file, and the file that a user brings.

A worker loads `engine` by name (`ENGINES` of `attrib.capture.workers.worker`); from outside only `user_graph` is
imported, which needs no engine.
"""
