import threading
import time

import pytest

from attrib.capture.workload import sources
from attrib.capture.workload.sources import hub_reachable, resolve_source
from attrib.errors import AttribError
from attrib.model.capture_options import CaptureOptions


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch):
    """No weights in the cache and no hub, whatever this machine has."""
    monkeypatch.setattr(sources, "_cached", lambda _repository: None)
    monkeypatch.setattr(sources, "hub_reachable", lambda: False)


def resolve(model):
    return resolve_source(CaptureOptions(model=str(model)))


def test_built_in_model_without_a_hub_is_built_from_its_configuration():
    source = resolve("bert-base-uncased")
    assert (source.kind, source.location, source.source) == ("configuration", "bert-base-uncased", "built-in")


def test_published_name_of_a_built_in_model_is_known():
    assert resolve("sentence-transformers/all-MiniLM-L6-v2").model == "all-MiniLM-L6-v2"


def test_cached_weights_are_used(monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "_cached", lambda _repository: tmp_path)
    source = resolve("bert-base-uncased")
    assert (source.kind, source.location, source.source) == ("directory", str(tmp_path), "built-in")


def test_failed_download_of_a_built_in_model_falls_back_and_says_so(monkeypatch):
    def fails(_repository):
        raise AttribError("it could not be downloaded")

    monkeypatch.setattr(sources, "hub_reachable", lambda: True)
    monkeypatch.setattr(sources, "_download", fails)
    source = resolve("bert-base-uncased")
    assert source.kind == "configuration"
    assert "random weights" in source.note


def test_typing_error_gets_a_suggestion():
    with pytest.raises(AttribError, match="unknown model 'bert-bas-uncased'") as caught:
        resolve("bert-bas-uncased")
    assert "bert-base-uncased" in caught.value.hint


@pytest.mark.parametrize("name", ["org/model", "opt-125m"])
def test_hub_model_without_a_hub_says_so(name):
    with pytest.raises(AttribError, match="hub cannot be reached"):
        resolve(name)


@pytest.mark.parametrize("name", ["a b", "a/b/c", "", "org/../x"])
def test_name_that_can_be_nothing_is_refused(name):
    with pytest.raises(AttribError):
        resolve(name)


def test_directory_with_safetensors_is_taken_and_named_without_its_path(tmp_path):
    folder = tmp_path / "my-bert"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    source = resolve(folder)
    assert (source.kind, source.model, source.source) == ("directory", "my-bert", "directory")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "no config.json"),
        (["config.json"], "holds no weights"),
        (["config.json", "pytorch_model.bin"], "pickled weights only"),
    ],
)
def test_directory_that_cannot_be_loaded_says_what_is_wrong(tmp_path, files, says):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(AttribError, match=says):
        resolve(tmp_path)


def test_path_that_does_not_exist(tmp_path):
    with pytest.raises(AttribError, match="there is no directory"):
        resolve(tmp_path / "absent")


def test_factory_in_a_missing_file_is_noticed_at_once():
    with pytest.raises(AttribError, match=r"there is no file absent\.py"):
        resolve("absent.py:make")


def test_factory_is_named_without_its_path(factories):
    assert resolve(f"{factories}:named").model == "my_models.py:named"


def test_hub_that_never_answers_does_not_hold_the_user_up(monkeypatch):
    from huggingface_hub import constants

    released = threading.Event()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(sources, "_HUB_TIMEOUT_S", 0.2)
    monkeypatch.setattr(sources, "_answers", lambda _endpoint: released.wait(30))
    begin = time.monotonic()
    assert hub_reachable() is False
    assert time.monotonic() - begin < 5
    released.set()


def test_offline_is_respected(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sources, "_answers", lambda _endpoint: pytest.fail("the hub was asked"))
    assert hub_reachable() is False


@pytest.mark.parametrize("endpoint", ["file:///etc/passwd", "http://127.0.0.1:9", "nonsense"])
def test_endpoint_that_is_no_hub_is_not_reachable(endpoint):
    assert sources._answers(endpoint) is False
