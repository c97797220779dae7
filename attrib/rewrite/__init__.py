"""A graph in, a graph out: the optimizers, quantizers and surgeries behind `attrib profile --optimize`.

Opens no session and measures nothing: what has to run is handed in with the `Job`.
"""

__all__ = ["files", "registry", "run"]
