"""What a capture by somebody with much to hide keeps of it: nothing, in any byte of any file."""

import base64
import gzip
import io
import json
import re
import zlib

import pytest

USER, HOST, PROJECT = "zaphod.beeblebrox", "heart-of-gold-42", "secret-project"
WORDS = ("zzcomment", "zzdocstring", "zzrange", "zzlocal", "zzbatch")
"""What stands in the file of the model, and names neither a module, an input nor an output."""

MODEL = '''"""zzdocstring of {home}/secret-project"""
import torch
import torch.nn.functional as F
from torch import nn


class Tail(nn.Module):
    """zzdocstring: see {home}/notes.txt"""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(100, 64)
        self.head = nn.Linear(64, 10)

    def forward(self, ids):
        zzlocal = self.emb(ids)  # zzcomment {home}/secret-project on heart-of-gold-42
        with torch.autograd.profiler.record_function("zzrange {home}/secret-project/zz"):
            zzlocal = F.gelu(zzlocal) * 3.25
        with torch.autograd.profiler.record_function("zzbatch of zaphod.beeblebrox"):
            return self.head(zzlocal)


def make():
    return Tail(), (torch.randint(0, 100, (1, 64)),)
'''

ELSEWHERE = """
import platform
import socket

socket.gethostname = lambda: "heart-of-gold-42"
platform.node = lambda: "heart-of-gold-42"
"""
"""Read by every Python process at its start: the machine has a name that tells where it is."""


def contents(file):
    """The bytes of a file, and of everything packed inside it."""
    data = file.read_bytes()
    yield data
    if file.suffix == ".gz":
        yield gzip.decompress(data)
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(io.BytesIO(data))
        yield repr(table.to_pydict()).encode()
        yield repr(table.schema).encode()
    if file.suffix == ".npz":
        import numpy as np

        yield repr({name: array.tolist() for name, array in np.load(io.BytesIO(data)).items()}).encode()
    if file.suffix == ".html":
        for packed in re.findall(rb"[A-Za-z0-9+/=]{200,}", data):
            try:
                yield zlib.decompress(base64.b64decode(packed), 47)
            except (ValueError, zlib.error):  # a picture, or a part of the page
                continue
    if file.suffix == ".json":
        yield json.dumps(json.loads(data), ensure_ascii=False).encode()


@pytest.fixture(scope="module", params=["dynamo", "torchscript"])
def private(request, cli, root, tmp_path_factory):
    """The folder of such a capture, its reports and what was printed."""
    place = tmp_path_factory.mktemp("disk")
    home = place / "home" / USER
    project = home / PROJECT
    project.mkdir(parents=True)
    (project / "models.py").write_text(MODEL.replace("{home}", str(home)))
    (place / "site").mkdir()
    (place / "site" / "sitecustomize.py").write_text(ELSEWHERE)
    env = {
        "HOME": str(home),
        "USER": USER,
        "LOGNAME": USER,
        "HOSTNAME": HOST,
        "TMPDIR": str(place),
        "PYTHONPATH": f"{place / 'site'}:{root}",
    }
    done = cli(
        "profile", "--model", f"{project / 'models.py'}:make", "--exporter", request.param, "--threads", "1",
        "--iterations", "5", "--optimize", "onnxslim",
        "--session-option", f"session.x_note={home}/secret-project/x", "--session-option", f"session.y_note=of {USER}",
        "--provider-option", f"note={home}/secret-project/z",
        "-o", project / "trace", cwd=project, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for kind in ("md", "txt"):
        told = cli(
            "report", project / "trace", "-o", project / "trace" / f"told.{kind}", cwd=project, env=env
        )
        assert told.returncode == 0, told.stderr
    return project / "trace", done


@pytest.mark.engines
@pytest.mark.slow
def test_nothing_private_is_in_any_byte_of_any_file(private):
    trace, _ = private
    markers = ["beeblebrox", HOST, PROJECT, str(trace.parent.parent), "/home/", *WORDS]
    found = []
    for file in sorted(path for path in trace.rglob("*") if path.is_file()):
        for data in contents(file):
            low = data.lower()
            for marker in markers:
                at = low.find(marker.lower().encode())
                if at >= 0:
                    found.append(
                        (file.relative_to(trace).as_posix(), marker, data[max(0, at - 80) : at + 80])
                    )
    assert found == []
    assert len(list(trace.rglob("*.onnx"))) >= 3


@pytest.mark.parametrize("name", ["a.json.gz", "a.parquet", "a.npz", "a.html", "a.json"])
def test_what_is_packed_is_looked_into(tmp_path, name):
    """A marker in each kind of file is found: the test above does not look past it."""
    file, secret = tmp_path / name, f"by {USER}"
    if name.endswith(".gz"):
        file.write_bytes(gzip.compress(secret.encode()))
    elif name.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"note": [secret] * 9}), file)
    elif name.endswith(".npz"):
        import numpy as np

        np.savez_compressed(file, note=np.array([secret] * 99))
    elif name.endswith(".html"):
        packed = base64.b64encode(gzip.compress((secret + str(list(range(400)))).encode()))
        file.write_bytes(b"<script>" + packed + b"</script>")
    else:
        file.write_text(json.dumps([secret]).replace("z", "\\u007a"))
    assert any(USER.encode() in data for data in contents(file))
