"""The machine and its software: processors, load, providers, interpreters, and what they can do at most.

Knows no model and no capture.
"""

__all__ = [
    "disturbance",
    "doctor_checks",
    "environment",
    "heap",
    "interpreter",
    "machine",
    "peaks",
    "probe",
    "providers",
]
