"""Packed traces and pipes: whatever the packing, the same table; a damaged stream gives all that it still holds."""

import gzip
import io
import os
import subprocess
import sys
import threading
import zlib

import numpy as np
import pyarrow as pa
import pytest

from attrib.errors import AttribError
from attrib.traces import read_trace

EVENTS = [
    f'{{"ph":"X","cat":"cpu_op","name":"n{i}","pid":1,"tid":1,"ts":{i * 7919 % 100_003}.125,"dur":2}}'
    for i in range(20_000)
]
PLAIN = ('{"schemaVersion":1,"traceEvents":[' + ",\n".join(EVENTS) + "]}").encode()
SMALL = ('{"schemaVersion":1,"traceEvents":[' + ",\n".join(EVENTS[:50]) + "]}").encode()


def zstd(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def packed_gzip(data):
    return gzip.compress(data, mtime=0)


PACK = {"plain": bytes, "gzip": packed_gzip, "zstd": zstd}


@pytest.mark.parametrize("packing", PACK)
def test_every_packing_is_recognized_by_content(write, packing):
    table = read_trace(write(PACK[packing](PLAIN), "trace.json"))
    assert len(table) == 20_000
    assert np.array_equal(table.start_ns, read_trace(io.BytesIO(PLAIN)).start_ns)
    assert table.damage is None


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_several_members_are_one_file(write, packing):
    pack = PACK[packing]
    third = len(PLAIN) // 3
    data = pack(PLAIN[:third]) + pack(PLAIN[third : 2 * third]) + pack(PLAIN[2 * third :])
    assert len(read_trace(write(data, "trace.json"))) == 20_000


def test_zeros_behind_a_gzip_file_are_padding(write):
    assert len(read_trace(write(packed_gzip(SMALL) + b"\0" * 700, "trace.json"))) == 50


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_packed_file_cut_in_the_middle_gives_what_can_be_unpacked(write, packing, share):
    data = PACK[packing](PLAIN)
    path = write(data[: int(len(data) * share)], "trace.json")
    with pytest.raises(
        AttribError, match=rf"event [\d,]+, byte [\d,]+ after unpacking: the {packing} stream is damaged"
    ):
        read_trace(path)
    damage = read_trace(path, lenient=True).damage
    assert damage.packed
    assert damage.cut
    if packing == "gzip":
        unpacked = zlib.decompressobj(31).decompress(path.read_bytes())
        assert damage.recovered == unpacked.count(b"}")
        assert damage.offset + damage.lost_bytes == len(unpacked)
    assert 0 < damage.recovered < 20_000


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_bad_bytes_in_a_packed_file_is_refused_and_read_up_to_there(write, packing):
    data = bytearray(PACK[packing](PLAIN))
    middle = len(data) // 2
    data[middle : middle + 64] = b"\xff" * 64
    path = write(bytes(data), "trace.json")
    with pytest.raises(AttribError):
        read_trace(path)
    table = read_trace(path, lenient=True)
    assert 0 < table.damage.recovered < 20_000


def test_a_wrong_checksum_behind_a_whole_trace_is_said_and_costs_no_event(write):
    data = bytearray(packed_gzip(SMALL))
    data[-6] ^= 0xFF
    path = write(bytes(data), "trace.json")
    with pytest.raises(AttribError, match=r"event 50, byte .*its data or its checksum is wrong"):
        read_trace(path)
    damage = read_trace(path, lenient=True).damage
    assert (damage.recovered, damage.lost, damage.lost_bytes, damage.cut) == (50, 0, 0, False)
    assert "checksum" in damage.reason


def test_what_follows_a_gzip_file_is_refused_and_passed_over(write):
    path = write(packed_gzip(SMALL) + b"garbage", "trace.json")
    with pytest.raises(AttribError, match="gzip stream is damaged"):
        read_trace(path)
    assert read_trace(path, lenient=True).damage.recovered == 50


@pytest.mark.parametrize("packing", PACK)
def test_a_pipe_is_read_like_a_file(tmp_path, packing):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(PACK[packing](PLAIN),))
    writer.start()
    assert len(read_trace(pipe)) == 20_000
    writer.join()


def test_progress_counts_the_bytes_on_the_disk(write):
    data = packed_gzip(PLAIN)
    seen = []
    read_trace(write(data, "trace.json"), progress=lambda done, size: seen.append((done, size)))
    assert seen[-1] == (len(data), len(data))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    seen.clear()
    read_trace(io.BytesIO(PLAIN), progress=lambda done, size: seen.append((done, size)))
    assert seen[-1] == (len(PLAIN), None)


def test_pyarrow_is_imported_for_zstd_alone(write):
    code = "import sys\nfrom pathlib import Path\nfrom attrib.traces import read_trace\n"
    code += "read_trace(Path(sys.argv[1]))\nprint('pyarrow' in sys.modules)"
    for packing, imported in (("plain", "False"), ("gzip", "False"), ("zstd", "True")):
        path = write(PACK[packing](SMALL), f"{packing}.json")
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        assert (done.stdout.strip(), done.stderr) == (imported, "")


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from pathlib import Path
from attrib.errors import AttribError
from attrib.traces import read_trace
for lenient in (False, True):
    try:
        found = read_trace(Path(sys.argv[1]), lenient=lenient)
    except AttribError as error:
        print("refused:", error)
    else:
        print("read:", len(found), found.damage and found.damage.recovered)
"""
EVENT = b'{"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":1,"dur":2},'
HEAD = b'{"traceEvents":[' + EVENT
MIB = 1 << 20


def bomb(head, piece, size):
    """A gzip file of megabytes that unpacks to gigabytes: the same compressed piece over and over."""
    block = piece * (MIB // len(piece))
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    once = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return data + once * (size // len(block))


HOSTILE = {
    "a bomb of events": lambda: bomb(HEAD, EVENT, 2 << 30),
    "a bomb in a name": lambda: bomb(HEAD + b'{"ph":"X","name":"', b"x", 2 << 30),
    "a bomb in an argument": lambda: bomb(HEAD + b'{"ph":"X","args":{"a":"', b"x", 2 << 30),
    "a bomb in a member": lambda: bomb(b'{"x":"', b"x", 2 << 30),
    "a bomb of spaces": lambda: bomb(HEAD, b" ", 2 << 30),
    "a bomb of members": lambda: bomb(b"{", b'"a":1,', 2 << 30),
    "deep arguments": lambda: HEAD + b'{"ph":"X","args":' + b"[" * MIB,
    "deep objects": lambda: HEAD + b'{"ph":"X","args":' + b'{"a":' * MIB,
    "a deep member": lambda: b'{"x":' + b"[" * MIB,
    "a deep file": lambda: b"[" * MIB,
    "a million keys": lambda: HEAD + b'{"ph":"X","args":{' + b'"key":1,' * MIB + b'"b":1}}]}',
    "a million keys and a control character": lambda: HEAD + b'{"ph":"X","name":"\n","args":{' + b'"key":1,' * MIB,
    "a million open events": lambda: HEAD + b'{"ph":"X","args":[' * (MIB // 4),
    "a million events with quotes": lambda: HEAD + b'{"ph":"X","ts":1,"name":"a"b"},' * (MIB // 16),
    "quotes": lambda: HEAD + b'"' * MIB,
    "numbers": lambda: HEAD + b"5," * (MIB // 8),
    "many nan": lambda: HEAD + b'{"ph":"X","args":{"l":[' + b"nan," * MIB + b"1]}}]}",
    "keys of ONNX Runtime": lambda: b'[\n{"cat" : "Node","ph" : "X","ts" :"' + b'"op_name" : "' * 9000 + b"x}},\n",
    "events of ONNX Runtime run together": lambda: b"[\n" + b'{"cat" : "Node","ph" : "X","name" : "a"},\nXX' * 4_000,
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_costs_bounded_time_and_memory(write, case):
    path = write(HOSTILE[case](), "hostile")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(("refused: ", "read: ")) for line in lines)


@pytest.mark.parametrize("endless", ["' '", "'x'", "'['", "'[' + chr(34) + 'x'"])
def test_an_endless_pipe_is_left(endless):
    program = f"import sys\nwhile True: sys.stdout.write({endless} * 65536)"
    command = [sys.executable, "-c", LIMITED.replace("(False, True)", "(False,)"), "/dev/stdin"]
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdout=pipe, stderr=subprocess.DEVNULL) as writer:
        done = subprocess.run(
            command, stdin=writer.stdout, capture_output=True, text=True, timeout=120, check=False
        )
        writer.kill()
    assert done.stdout.startswith("refused: /dev/stdin: ")
    assert done.stderr == ""
