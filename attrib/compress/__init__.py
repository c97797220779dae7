"""A PyTorch module in, a smaller or cheaper one out: what is behind `attrib profile --compress`.

Runs before anything is measured or exported, so that both engines get the same model; measures nothing itself.
"""

__all__ = ["registry", "run", "subject"]
