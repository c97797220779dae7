"""The model and its inputs: where they come from, how they are built, and how outputs are compared.

`build`, `flat_module` and `modules` of the zoo are for workers; `sources`, `inputs`, `differences` and `handover` are
imported by sessions too and import torch only where they need it. It knows no engine's profiler.
"""
