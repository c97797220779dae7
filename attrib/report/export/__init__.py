"""A report for other programs: trace readers, tables, trackers of benchmarks, and model-explorer.

Each file is one format, made of the document alone; names of a stranger's model are made visible, and inert where a program
would act on them.
"""

__all__ = ["node_data", "perfetto", "tables", "trackers"]
