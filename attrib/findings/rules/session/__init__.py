"""Rules about what surrounds the operators: sessions, bindings, Python, and first runs."""
