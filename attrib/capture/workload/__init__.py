"""The model and its inputs: where they come from, how they are built, and how outputs are compared."""
