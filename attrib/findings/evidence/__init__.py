"""What several rules read: ledger queries, the graph that ran, kernels, placement, reference costs.

Knows no rule and no check.
"""

__all__ = [
    "absorbable",
    "advice",
    "attention",
    "branches",
    "executed_graph",
    "foldable_norms",
    "fusions",
    "kernels",
    "ledger_queries",
    "linear_layers",
    "numerics",
    "page_faults",
    "placement",
    "reference_cost",
    "significance",
    "single_operators",
    "stability",
    "unfused_patterns",
    "unpacked_weights",
]
