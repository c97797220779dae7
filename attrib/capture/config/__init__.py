"""What a capture is asked to do, and the checks that need no engine.

Imports no engine, starts no process and writes no file.
"""

__all__ = ["options", "progress", "provider_options", "session_options", "user_supplied", "variables"]
