"""PyTorch's worker: eager and compiled models, module scopes, profiles, and what its profiler costs."""
