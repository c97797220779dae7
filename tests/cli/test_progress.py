import io

from attrib.cli import progress


def test_a_log_hears_of_a_long_phase_every_half_minute(monkeypatch):
    now = iter([0.0, 1.0, 10.0, 40.0, 40.0, 45.0, 80.0, 80.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    stream = io.StringIO()
    shown = progress.PlainProgress(stream)
    shown.phase("measure")
    shown.update(0.1, 90.0)  # at 10 s: nobody wonders yet
    shown.update(0.4, 60.0)
    shown.update(0.5, 50.0)
    shown.update(0.9)
    assert stream.getvalue().splitlines() == [
        "[  1.0 s] Measuring, plain and profiled",
        "[ 40.0 s] Measuring, plain and profiled: 40%, at most 60 s left",
        "[ 80.0 s] Measuring, plain and profiled: 90%",
    ]
