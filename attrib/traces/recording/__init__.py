"""Questions to an event table: its operators, kernels, copies, steps and runs."""
