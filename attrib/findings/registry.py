"""Every rule, in the order in which they run. To add one, import it here and name it in `RULES`."""

from attrib.findings.protocol import Rule
from attrib.findings.rules.devices.engine_rebuild import RULE as ENGINE_REBUILD
from attrib.findings.rules.devices.fallback_nodes import RULE as FALLBACK_NODES
from attrib.findings.rules.devices.launch_bound import RULE as LAUNCH_BOUND
from attrib.findings.rules.devices.memcpy_nodes import RULE as MEMCPY_NODES
from attrib.findings.rules.devices.partition_cuts import RULE as PARTITION_CUTS
from attrib.findings.rules.devices.provider_not_used import RULE as PROVIDER_NOT_USED
from attrib.findings.rules.fairness.competing_pools import RULE as COMPETING_POOLS
from attrib.findings.rules.fairness.different_math import RULE as DIFFERENT_MATH
from attrib.findings.rules.fairness.output_mismatch import RULE as OUTPUT_MISMATCH
from attrib.findings.rules.fairness.padded_tokens import RULE as PADDED_TOKENS
from attrib.findings.rules.fairness.profiler_overhead import RULE as PROFILER_OVERHEAD
from attrib.findings.rules.fairness.thread_mismatch import RULE as THREAD_MISMATCH
from attrib.findings.rules.fairness.unfair_timing import RULE as UNFAIR_TIMING
from attrib.findings.rules.fairness.unmatched_time import RULE as UNMATCHED_TIME
from attrib.findings.rules.fairness.unstable_measurement import RULE as UNSTABLE_MEASUREMENT
from attrib.findings.rules.graph.blocked_optimization import RULE as BLOCKED_OPTIMIZATION
from attrib.findings.rules.graph.cache_upkeep import RULE as CACHE_UPKEEP
from attrib.findings.rules.graph.decomposed_attention import RULE as DECOMPOSED_ATTENTION
from attrib.findings.rules.graph.decomposed_operators import RULE as DECOMPOSED_OPERATORS
from attrib.findings.rules.graph.duplicated_work import RULE as DUPLICATED_WORK
from attrib.findings.rules.graph.einsum_products import RULE as EINSUM_PRODUCTS
from attrib.findings.rules.graph.exported_subgraphs import RULE as EXPORTED_SUBGRAPHS
from attrib.findings.rules.graph.extra_nodes import RULE as EXTRA_NODES
from attrib.findings.rules.graph.folded_work import RULE as FOLDED_WORK
from attrib.findings.rules.graph.fused_operators import RULE as FUSED_OPERATORS
from attrib.findings.rules.graph.inverse_transposes import RULE as INVERSE_TRANSPOSES
from attrib.findings.rules.graph.layout_churn import RULE as LAYOUT_CHURN
from attrib.findings.rules.graph.nan_guard import RULE as NAN_GUARD
from attrib.findings.rules.graph.redundant_casts import RULE as REDUNDANT_CASTS
from attrib.findings.rules.graph.shape_arithmetic import RULE as SHAPE_ARITHMETIC
from attrib.findings.rules.graph.slow_module import RULE as SLOW_MODULE
from attrib.findings.rules.graph.unfolded_batch_norms import RULE as UNFOLDED_BATCH_NORMS
from attrib.findings.rules.graph.unfused_layers import RULE as UNFUSED_LAYERS
from attrib.findings.rules.graph.untaken_branches import RULE as UNTAKEN_BRANCHES
from attrib.findings.rules.graph.unused_outputs import RULE as UNUSED_OUTPUTS
from attrib.findings.rules.kernels.denormal_values import RULE as DENORMAL_VALUES
from attrib.findings.rules.kernels.double_in_pytorch import RULE as DOUBLE_IN_PYTORCH
from attrib.findings.rules.kernels.double_precision import RULE as DOUBLE_PRECISION
from attrib.findings.rules.kernels.faster_kernel import RULE as FASTER_KERNEL
from attrib.findings.rules.kernels.slower_fusion import RULE as SLOWER_FUSION
from attrib.findings.rules.kernels.slower_kernel import RULE as SLOWER_KERNEL
from attrib.findings.rules.kernels.unfused_quantization import RULE as UNFUSED_QUANTIZATION
from attrib.findings.rules.kernels.unsupported_precision import RULE as UNSUPPORTED_PRECISION
from attrib.findings.rules.session.first_shape_cost import RULE as FIRST_SHAPE_COST
from attrib.findings.rules.session.framework_overhead import RULE as FRAMEWORK_OVERHEAD
from attrib.findings.rules.session.page_faults import RULE as PAGE_FAULTS
from attrib.findings.rules.session.python_overhead import RULE as PYTHON_OVERHEAD
from attrib.findings.rules.session.unbound_inputs import RULE as UNBOUND_INPUTS

RULES: tuple[Rule, ...] = (
    PROVIDER_NOT_USED,
    OUTPUT_MISMATCH,
    DIFFERENT_MATH,
    THREAD_MISMATCH,
    BLOCKED_OPTIMIZATION,
    UNFAIR_TIMING,
    UNSTABLE_MEASUREMENT,
    COMPETING_POOLS,
    DENORMAL_VALUES,
    PAGE_FAULTS,
    FIRST_SHAPE_COST,
    ENGINE_REBUILD,
    LAUNCH_BOUND,
    PROFILER_OVERHEAD,
    UNMATCHED_TIME,
    PADDED_TOKENS,
    FALLBACK_NODES,
    PARTITION_CUTS,
    MEMCPY_NODES,
    UNBOUND_INPUTS,
    UNTAKEN_BRANCHES,
    EXPORTED_SUBGRAPHS,
    UNSUPPORTED_PRECISION,
    UNFUSED_QUANTIZATION,
    DOUBLE_PRECISION,
    DOUBLE_IN_PYTORCH,
    EINSUM_PRODUCTS,
    UNFOLDED_BATCH_NORMS,
    DUPLICATED_WORK,
    UNUSED_OUTPUTS,
    INVERSE_TRANSPOSES,
    NAN_GUARD,
    DECOMPOSED_ATTENTION,
    UNFUSED_LAYERS,
    DECOMPOSED_OPERATORS,
    SLOWER_FUSION,
    SLOW_MODULE,
    PYTHON_OVERHEAD,
    SLOWER_KERNEL,
    FASTER_KERNEL,
    FUSED_OPERATORS,
    CACHE_UPKEEP,
    LAYOUT_CHURN,
    REDUNDANT_CASTS,
    SHAPE_ARITHMETIC,
    EXTRA_NODES,
    FOLDED_WORK,
    FRAMEWORK_OVERHEAD,
)
"""Every rule: what makes a comparison fair first, then causes, large ones first as experience goes."""
