"""Rules about the comparison itself: whether both engines did the same work, and how well it was measured."""

__all__ = [
    "competing_pools",
    "different_math",
    "output_mismatch",
    "padded_tokens",
    "profiler_overhead",
    "thread_mismatch",
    "unfair_timing",
    "unmatched_time",
    "unstable_measurement",
]
