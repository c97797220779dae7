"""Files that are whole or not there: the trace directory, temporary folders, locks, and what a signal leaves.

From outside: `writer.TraceWriter` and `writer.lock_directory`, `interrupts.Interrupts`. It knows nothing of engines, workers
or the phases of a capture, only of files and of the manifest that lists them.
"""
