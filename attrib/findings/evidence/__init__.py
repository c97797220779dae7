"""What several rules read: ledger queries, the graph that ran, kernels, placement, reference costs."""
