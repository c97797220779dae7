"""From two recordings to one document.

`pipeline.STAGES` is the way; the folders hold what its stages work with: `lineage` reads graphs, `match` joins calls and
nodes, `attribution` divides the time. Nothing here draws, measures or imports an engine.
"""
