"""What PyTorch's worker notes of a device; the flags exist in CPU builds too."""

import pytest

pytestmark = pytest.mark.engines


def test_on_the_cpu_only_the_device_is_noted():
    from attrib.capture.pytorch.engine import torch_settings

    assert torch_settings("cpu") == {"device": "cpu"}


def test_rounding_and_attention_kernels_are_noted_on_cuda():
    import torch

    from attrib.capture.pytorch.engine import torch_settings

    found = torch_settings("cuda")
    assert found["device"] == "cuda"
    assert found["cuda_matmul_tf32"] == str(torch.backends.cuda.matmul.allow_tf32).lower()
    assert found["cudnn_tf32"] in ("true", "false")
    assert "math" in found["cuda_attention"].split()


def test_setting_that_cannot_be_read_is_left_out(monkeypatch):
    from attrib.capture.pytorch import engine as cuda_settings

    def refuses():
        raise RuntimeError("old and new settings are mixed")

    monkeypatch.setitem(cuda_settings._READ, "cuda_matmul_tf32", refuses)
    found = cuda_settings.torch_settings("cuda")
    assert "cuda_matmul_tf32" not in found
    assert "cudnn_tf32" in found


def test_plain_steps_on_a_device_end_when_the_device_has_done_the_work(monkeypatch):
    """Without a device: that `prepare` waits for one where the inputs lie on it."""
    from types import SimpleNamespace

    import torch

    from attrib.capture.pytorch import modes as torch_modes

    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waited.append("device"))
    for on_device, expected in ((True, ["device"]), (False, [])):
        built = SimpleNamespace(
            inputs={"x": SimpleNamespace(is_cuda=on_device)},
            step=lambda: "result",
            module=torch.nn.Identity(),
        )
        waited.clear()
        assert torch_modes.prepare(built, "eager", None).step() == "result"
        assert waited == expected
