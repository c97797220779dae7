"""What a capture is asked to do, and the checks that need no engine.

Any part of `attrib.capture` may import it, and so may the command line: options and their checks, progress, what only the
user can name. It imports no engine, starts no process and writes no file.
"""
