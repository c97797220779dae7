"""Causes to plant in a BERT, each a small function and a row of `table.PLANTS`."""
