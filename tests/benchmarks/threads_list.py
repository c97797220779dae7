"""The situations of the threads' benchmark, each with the conclusion that its thread reached.

This list was committed before the first run, and what attrib says is not a reason to change it; docs/truth.md tells each
later correction. A thread is taken where its
conclusion can be shown on a CPU of two cores with today's engines: what a later version of an engine has mended is not here.
"""

from typing import Any

from threads_hand import Side
from threads_situation import Expected, Hand, Situation

GITHUB = "https://github.com"
ORT = f"{GITHUB}/microsoft/onnxruntime"
TORCH = f"{GITHUB}/pytorch/pytorch"


def ort(model: str, **options: Any) -> Side:
    """ONNX Runtime."""
    return Side(engine="onnxruntime", model=model, **options)


def torch(model: str, **options: Any) -> Side:
    """PyTorch."""
    return Side(engine="torch", model=model, **options)


NUMBERS = (
    Situation(
        name="denormals-5472",
        thread=f"{ORT}/issues/5472",
        conclusion="Trained weights were denormal, which some processors compute in microcode.",
        model="denormal_weights",
        expected=Expected(rules=("denormal-values",)),
        hand=Hand(
            before=ort("denormal_weights"),
            after=ort("denormal_weights", entries={"session.set_denormal_as_zero": "1"}),
            means="denormals taken for zero",
        ),
    ),
    Situation(
        name="half-16778",
        thread=f"{ORT}/issues/16778",
        conclusion="The CPU has no float16 kernels: ONNX Runtime casts around each node.",
        model="half_precision",
        options={"precision": "fp16"},
        expected=Expected(rules=("unsupported-precision", "redundant-casts"), causes=("cast",)),
        hand=Hand(
            before=ort("half_precision_converted"), after=ort("half_precision"), means="the model in float32"
        ),
    ),
    Situation(
        name="bfloat16-19937",
        thread=f"{ORT}/issues/19937",
        conclusion="PyTorch computes products in bfloat16, for which ONNX Runtime's CPU provider has no kernels.",
        model="bfloat16",
        options={"precision": "bf16", "autocast": True},
        expected=Expected(rules=("different-math",), names=("bf16", "bfloat16")),
        hand=Hand(
            before=torch("bfloat16"),
            after=torch("bfloat16", autocast=True),
            means="PyTorch in bfloat16 instead of float32",
        ),
    ),
    Situation(
        name="double-1392",
        thread=f"{GITHUB}/Deci-AI/super-gradients/issues/1392",
        conclusion="Anchor points of numpy's default type made part of the graph float64.",
        model="double_anchors",
        expected=Expected(
            rules=("double-precision", "redundant-casts", "double-in-pytorch"), causes=("cast",)
        ),
        hand=Hand(before=ort("double_anchors"), after=ort("float_anchors"), means="anchors in float32"),
    ),
    Situation(
        name="noise-61208",
        thread=f"{TORCH}/issues/61208",
        conclusion="The graph does not draw what forward draws (it held a constant then): the outputs differ.",
        model="noise",
        options={"exporter": "torchscript"},
        expected=Expected(rules=("output-mismatch",), names=("random",)),
        hand=None,
    ),
    Situation(
        name="nested-86120",
        thread=f"{TORCH}/issues/86120",
        conclusion="In inference PyTorch's encoder skips the padding by nested tensors, and returns other numbers there.",
        model="nested_padding",
        expected=Expected(rules=("output-mismatch",), names=("nested", "fast path")),
        hand=None,
        one_sided=("missing_work", "extra_work"),
    ),
)

GRAPHS = (
    Situation(
        name="einsum-5897",
        thread=f"{ORT}/issues/5897",
        conclusion="Einsum transposes its operands where a matrix product would do.",
        model="einsum_scores",
        expected=Expected(rules=("einsum-products",)),
        hand=Hand(
            before=ort("einsum_scores"),
            after=ort("matmul_scores"),
            means="a matrix product instead of Einsum",
        ),
    ),
    Situation(
        name="loop-9334",
        thread=f"{ORT}/issues/9334",
        conclusion="A scripted loop over the batch became a Loop, whose nodes run one by one.",
        model="scripted_alignment",
        options={"exporter": "torchscript"},
        expected=Expected(rules=("exported-subgraphs",), names=("Loop",)),
        hand=Hand(
            before=ort("scripted_alignment", exporter="torchscript"),
            after=ort("batched_alignment", exporter="torchscript"),
            means="all rows at once",
        ),
    ),
    Situation(
        name="slices-1925",
        thread=f"{GITHUB}/microsoft/onnxscript/pull/1925",
        conclusion="Slices that are assigned in place became ScatterND, which copies the whole tensor.",
        model="slices_assigned",
        expected=Expected(
            rules=("extra-nodes", "decomposed-operators", "layout-churn", "slower-kernel"),
            causes=("decomposed", "layout", "kernel", "extra_work"),
            direction="slower",
            names=("ScatterND",),
        ),
        hand=Hand(before=ort("slices_assigned"), after=ort("slices_joined"), means="slices joined once"),
        one_sided=("missing_work",),
    ),
    Situation(
        name="transpose-2435",
        thread=f"{ORT}/issues/2435",
        conclusion="The Transpose from packed to planar colors is slow.",
        model="packed_image",
        expected=Expected(
            rules=("layout-churn",), causes=("layout",), direction="slower", names=("Transpose",)
        ),
        hand=Hand(before=ort("packed_image"), after=ort("planar_image"), means="an image in planes"),
    ),
    Situation(
        name="inputs-4507",
        thread=f"{ORT}/issues/4507",
        conclusion="Weights that are inputs as well are not constant, so that nothing is folded into them.",
        model="convolutions",
        file="initializers_as_inputs",
        expected=Expected(rules=("blocked-optimization",), names=("graph inputs",)),
        hand=Hand(
            before=ort("convolutions", file="initializers_as_inputs"),
            after=ort("convolutions", file="initializers_as_constants"),
            means="weights that are no inputs",
        ),
    ),
    Situation(
        name="level-2796",
        thread=f"{ORT}/issues/2796",
        conclusion="The session did not optimize its graph.",
        model="encoder",
        options={"exporter": "torchscript", "opt_level": "disabled"},
        expected=Expected(rules=("blocked-optimization",)),
        hand=Hand(
            before=ort("encoder", exporter="torchscript", level="disabled"),
            after=ort("encoder", exporter="torchscript"),
            means="all optimizations",
        ),
    ),
    Situation(
        name="gelu-23491",
        thread=f"{ORT}/issues/23491",
        conclusion="GELU was not fused any more.",
        model="wide_gelu",
        options={"exporter": "torchscript", "disabled_optimizers": ("GeluFusion",)},
        expected=Expected(rules=("unfused-layers", "blocked-optimization"), names=("GELU", "Gelu")),
        hand=Hand(
            before=ort("wide_gelu", exporter="torchscript", disabled=("GeluFusionL1", "GeluFusionL2")),
            after=ort("wide_gelu", exporter="torchscript"),
            means="GELU fused",
        ),
    ),
    Situation(
        name="outputs-872",
        thread=f"{GITHUB}/huggingface/optimum/pull/872",
        conclusion="The decoder returned keys and values that never change, computed and copied for nobody.",
        model="decoder",
        file="further_outputs",
        expected=Expected(rules=("unused-outputs",)),
        hand=Hand(
            before=ort("decoder", file="further_outputs"),
            after=ort("decoder", exporter="torchscript"),
            means="without the further outputs",
        ),
        one_sided=("extra_work",),
    ),
    Situation(
        name="attention-216",
        thread=f"{GITHUB}/jpata/particleflow/issues/216",
        conclusion="Attention was exported as products and Softmax; one fused node is faster.",
        model="attention",
        expected=Expected(rules=("decomposed-attention",), causes=("decomposed",), direction="slower"),
        hand=Hand(
            before=ort("attention"),
            after=ort("attention", file="fused_attention"),
            means="MultiHeadAttention",
        ),
    ),
)

KERNELS = (
    Situation(
        name="nearest-14596",
        thread=f"{ORT}/issues/14596",
        conclusion="Resize has no kernel of its own for volumes; PyTorch has.",
        model="nearest_3d",
        expected=Expected(
            rules=("slower-kernel",),
            causes=("kernel", "decomposed"),
            direction="slower",
            names=("Resize", "upsample_nearest3d"),
        ),
        hand=Hand(
            before=ort("nearest_3d_alone"), after=torch("nearest_3d_alone"), means="the op alone, in PyTorch"
        ),
    ),
    Situation(
        name="spectrum-32403",
        thread=f"{ORT}/issues/32403",
        conclusion="DFT is far slower than PyTorch's transform for many short rows.",
        model="spectrum",
        expected=Expected(
            rules=("slower-kernel", "decomposed-operators"),
            causes=("kernel", "decomposed"),
            direction="slower",
            names=("DFT", "fft"),
        ),
        hand=Hand(
            before=ort("spectrum_alone"), after=torch("spectrum_alone"), means="the op alone, in PyTorch"
        ),
    ),
    Situation(
        name="grid-21382",
        thread=f"{ORT}/issues/21382",
        conclusion="GridSample of volumes is far slower than PyTorch's.",
        model="grid_3d",
        expected=Expected(
            rules=("slower-kernel",),
            causes=("kernel",),
            direction="slower",
            names=("GridSample", "grid_sampler"),
        ),
        hand=Hand(
            before=ort("grid_3d_alone"), after=torch("grid_3d_alone"), means="the op alone, in PyTorch"
        ),
    ),
    Situation(
        name="batchnorm-12130",
        thread=f"{ORT}/issues/12130",
        conclusion="BatchNormalization behind anything but a convolution stays a node of its own, and is slow.",
        model="tabular",
        expected=Expected(
            rules=("slower-kernel", "unfused-layers", "unfolded-batch-norms"),
            causes=("kernel",),
            direction="slower",
            names=("BatchNorm", "batch_norm", "batch norm"),
        ),
        hand=Hand(
            before=ort("tabular"),
            after=ort("tabular_folded"),
            means="batch norms folded into the next layer",
        ),
    ),
    Situation(
        name="lstm-94457",
        thread=f"{TORCH}/issues/94457",
        conclusion="PyTorch's LSTM is slower on a CPU than that of other frameworks.",
        model="recurrent",
        expected=Expected(
            rules=("faster-kernel", "fused-operators"),
            causes=("kernel", "decomposed", "fused"),
            direction="faster",
            names=("LSTM", "lstm"),
        ),
        hand=Hand(before=torch("recurrent"), after=ort("recurrent"), means="the layer in ONNX Runtime"),
    ),
    Situation(
        name="products-504",
        thread=f"{GITHUB}/pytorch/builder/issues/504",
        conclusion="PyTorch's products take slow code paths of MKL on AMD's processors.",
        model="products",
        expected=Expected(
            rules=("faster-kernel",),
            causes=("kernel",),
            direction="faster",
            names=("Gemm", "linear", "addmm"),
        ),
        hand=Hand(before=torch("products"), after=ort("products"), means="the products in ONNX Runtime"),
    ),
    Situation(
        name="pages-2931",
        thread=f"{GITHUB}/pytorch/tutorials/pull/2931",
        conclusion="The allocator hands large results back in each step, and each step faults its pages in again.",
        model="large_images",
        expected=Expected(
            rules=("page-faults",),
            causes=("page_faults",),
            names=("page fault",),
        ),
        hand=Hand(
            before=torch("large_images"),
            after=torch(
                "large_images",
                environment={
                    "MALLOC_MMAP_THRESHOLD_": "4294967296",
                    "MALLOC_TRIM_THRESHOLD_": "4294967296",
                    "MALLOC_TOP_PAD_": "268435456",
                },
            ),
            means="an allocator that keeps its memory",
        ),
    ),
)

SETTINGS = (
    Situation(
        name="small-12130",
        thread=f"{ORT}/issues/12130",
        conclusion="For one row ONNX Runtime is about ten times as fast: PyTorch spends its time on calls.",
        model="many_layers",
        expected=Expected(
            rules=("framework-overhead", "python-overhead"), causes=("framework",), direction="faster"
        ),
        hand=Hand(before=torch("many_layers"), after=ort("many_layers"), means="ONNX Runtime"),
        figure="headline",
    ),
    Situation(
        name="first-10676",
        thread=f"{ORT}/issues/10676",
        conclusion="The first run sets much up: only later ones may be compared.",
        model="encoder",
        expected=Expected(direction="faster"),
        hand=Hand(before=torch("encoder"), after=ort("encoder"), means="ONNX Runtime, both engines warm"),
        figure="headline",
    ),
    Situation(
        name="threads-1058",
        thread=f"{GITHUB}/ThilinaRajapakse/simpletransformers/pull/1058",
        conclusion="ONNX Runtime was given one thread, PyTorch all.",
        model="products",
        options={"threads": 2, "session_options": ("intra_op_num_threads=1",)},
        expected=Expected(rules=("thread-mismatch",)),
        hand=Hand(before=ort("products"), after=ort("products", threads=2), means="two threads"),
    ),
    Situation(
        name="cores-29510",
        thread=f"{ORT}/issues/29510",
        conclusion="The pool has more threads than the container has cores.",
        model="products",
        options={"threads": 8},
        expected=Expected(rules=("thread-mismatch",), names=("8 threads",)),
        hand=Hand(
            before=ort("products", threads=8),
            after=ort("products", threads=2),
            means="as many threads as cores",
        ),
    ),
    Situation(
        name="pools-13808",
        thread=f"{ORT}/issues/13808",
        conclusion="ONNX Runtime's threads spin after a run, and take the cores from PyTorch's.",
        model="encoder",
        options={"threads": 2},
        expected=Expected(rules=("competing-pools",)),
        hand=Hand(
            before=torch("encoder", threads=2, after_session=True),
            after=torch(
                "encoder",
                threads=2,
                after_session=True,
                entries={"session.intra_op.allow_spinning": "0"},
            ),
            means="no spinning",
        ),
    ),
    Situation(
        name="padding-360",
        thread=f"{GITHUB}/huggingface/setfit/issues/360",
        conclusion="Rows were padded to the longest length there is; the mask saves no work.",
        model="bert-base-uncased",
        options={"layers": 2, "seq_len": 128, "padding": 0.75},
        expected=Expected(rules=("padded-tokens",)),
        hand=Hand(before=ort("bert_padded"), after=ort("bert_not_padded"), means="32 tokens instead of 128"),
    ),
    Situation(
        name="level-4816",
        thread=f"{ORT}/issues/4816",
        conclusion="Optimization gains nothing where there is nothing to fuse.",
        model="sigmoid_layers",
        options={"opt_level": "disabled"},
        expected=Expected(absent=("blocked-optimization", "unfused-layers")),
        hand=Hand(
            before=ort("sigmoid_layers", level="disabled"),
            after=ort("sigmoid_layers"),
            means="all optimizations",
        ),
    ),
    Situation(
        name="exporter-200419",
        thread="https://discuss.pytorch.org/t/dynamo-onnx-models-exported-with-torch-onnx-dynamo-export-show-worse-performance-during-inference/200419",
        conclusion="The first dynamo exporter's small networks were slower; today's are not.",
        model="four_layers",
        expected=Expected(
            absent=(
                "decomposed-operators",
                "exported-subgraphs",
                "extra-nodes",
                "layout-churn",
                "shape-arithmetic",
                "redundant-casts",
            ),
        ),
        hand=Hand(
            before=ort("four_layers"),
            after=ort("four_layers", exporter="torchscript"),
            means="the TorchScript exporter",
        ),
    ),
)

SITUATIONS = (*NUMBERS, *GRAPHS, *KERNELS, *SETTINGS)
