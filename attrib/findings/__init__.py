"""Rules that read the ledger and say what it means: one file a rule, and the runner."""
