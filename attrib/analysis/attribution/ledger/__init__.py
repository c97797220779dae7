"""The ledger: rows whose differences sum to the measured one, with their intervals."""
