"""Rules about the graph: what the export and the optimizers made of the model."""

__all__ = [
    "blocked_optimization",
    "decomposed_attention",
    "decomposed_operators",
    "duplicated_work",
    "einsum_products",
    "exported_subgraphs",
    "extra_nodes",
    "folded_work",
    "fused_operators",
    "inverse_transposes",
    "layout_churn",
    "nan_guard",
    "redundant_casts",
    "shape_arithmetic",
    "slow_module",
    "unfused_layers",
    "untaken_branches",
    "unused_outputs",
]
