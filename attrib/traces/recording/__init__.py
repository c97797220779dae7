"""Questions to an event table: its operators, kernels, copies, steps and runs.

Reads no file.
"""

__all__ = [
    "activity_types",
    "clocks",
    "device_names",
    "intervals",
    "ort_kernels",
    "ort_recording",
    "recording",
    "selection",
    "shapes",
]
