"""Rules about the graph: what the export and the optimizers made of the model."""
