"""A trace as a recording that answers questions: its operators, kernels, copies, steps, runs and nodes."""
