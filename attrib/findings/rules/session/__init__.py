"""Rules about what surrounds the operators: sessions, bindings, Python, and first runs."""

__all__ = ["first_shape_cost", "framework_overhead", "python_overhead", "unbound_inputs"]
