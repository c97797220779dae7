import pytest

from attrib.zoo.architectures import ARCHITECTURES, find_architecture
from attrib.zoo.names import similar_names
from attrib.zoo.tasks import TASKS

PUBLISHED_PARAMETERS = {
    "bert-base-uncased": 109_482_240,
    "bert-large-uncased": 335_141_888,
    "distilbert-base-uncased": 66_362_880,
    "roberta-base": 124_645_632,
    "all-MiniLM-L6-v2": 22_713_216,
    "gpt2": 124_439_808,
    "bart-base": 139_420_416,
    "SmolLM2-135M": 134_515_008,
    "t5-small": 35_330_816,
    "resnet-18": 11_176_512,
}


def test_every_architecture_has_a_published_parameter_count():
    assert PUBLISHED_PARAMETERS.keys() == ARCHITECTURES.keys()


@pytest.mark.engines
@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_configuration_gives_the_published_number_of_parameters(name):
    import torch
    import transformers
    from transformers import AutoConfig

    architecture = ARCHITECTURES[name]
    config = AutoConfig.for_model(architecture.model_type, **architecture.values)
    with torch.device("meta"):
        model = getattr(transformers, TASKS[architecture.task]).from_config(config)
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED_PARAMETERS[name]


@pytest.mark.engines
@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_configuration_class_knows_every_value(name):
    from transformers import AutoConfig

    architecture = ARCHITECTURES[name]
    known = AutoConfig.for_model(architecture.model_type)
    # Of rotary positions the class keeps a mapping, into which it puts the published `rope_theta`.
    kept = {**vars(known), **(getattr(known, "rope_parameters", None) or {})}
    assert [key for key in architecture.values if not hasattr(known, key) and key not in kept] == []


@pytest.mark.engines
@pytest.mark.parametrize("auto_class", TASKS.values())
def test_every_task_is_a_class_of_transformers(auto_class):
    import transformers

    assert hasattr(transformers, auto_class)


def test_repository_is_another_name_for_its_model():
    assert find_architecture("sentence-transformers/all-MiniLM-L6-v2") is ARCHITECTURES["all-MiniLM-L6-v2"]
    assert find_architecture("bert-base-cased") is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("bert-bas-uncased", "bert-base-uncased"),
        ("ALL-minilm-l6", "all-MiniLM-L6-v2"),
        ("two-linear", "two-linears"),
    ],
)
def test_typing_errors_are_recognized(typed, meant):
    assert similar_names(typed)[0] == meant


def test_nothing_is_suggested_for_an_unrelated_name():
    assert similar_names("whisper-tiny") == []


def test_registry_imports_no_engine():
    import subprocess
    import sys

    code = (
        "import sys, attrib.zoo.architectures, attrib.zoo.tasks;"
        "assert not {'torch', 'transformers', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
