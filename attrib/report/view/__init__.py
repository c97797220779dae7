"""What a reader is shown, computed once from a document; no markup in here."""
