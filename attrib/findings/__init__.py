"""Rules that read the ledger and say what it means: one file a rule, and the runner."""

from attrib.findings.decomposed_attention import RULE as DECOMPOSED_ATTENTION
from attrib.findings.faster_kernel import RULE as FASTER_KERNEL
from attrib.findings.folded_work import RULE as FOLDED_WORK
from attrib.findings.framework_overhead import RULE as FRAMEWORK_OVERHEAD
from attrib.findings.fused_operators import RULE as FUSED_OPERATORS
from attrib.findings.layout_churn import RULE as LAYOUT_CHURN
from attrib.findings.output_mismatch import RULE as OUTPUT_MISMATCH
from attrib.findings.protocol import Rule
from attrib.findings.redundant_casts import RULE as REDUNDANT_CASTS
from attrib.findings.shape_arithmetic import RULE as SHAPE_ARITHMETIC
from attrib.findings.slower_kernel import RULE as SLOWER_KERNEL
from attrib.findings.thread_mismatch import RULE as THREAD_MISMATCH
from attrib.findings.unfused_layers import RULE as UNFUSED_LAYERS
from attrib.findings.unmatched_time import RULE as UNMATCHED_TIME
from attrib.findings.unstable_measurement import RULE as UNSTABLE_MEASUREMENT
from attrib.findings.untaken_branches import RULE as UNTAKEN_BRANCHES

RULES: tuple[Rule, ...] = (
    OUTPUT_MISMATCH,
    THREAD_MISMATCH,
    UNSTABLE_MEASUREMENT,
    UNMATCHED_TIME,
    UNTAKEN_BRANCHES,
    DECOMPOSED_ATTENTION,
    UNFUSED_LAYERS,
    SLOWER_KERNEL,
    FASTER_KERNEL,
    FUSED_OPERATORS,
    LAYOUT_CHURN,
    REDUNDANT_CASTS,
    SHAPE_ARITHMETIC,
    FOLDED_WORK,
    FRAMEWORK_OVERHEAD,
)
"""Every rule: what makes a comparison fair first, then causes, large ones first as experience goes."""
