"""A graph in, a graph out: the optimizers, quantizers and surgeries behind `attrib profile --optimize`."""
