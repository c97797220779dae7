"""One capture from start to end, in the parent process: its phases, its record, and how it goes on after an interruption.

From outside: `capture.capture` and `resume.resume`; the bench also takes the measurement (`measure`, `latencies`), the
graphs and the commands. `session.Session.run` shows the phases. It imports no engine: workers do, and get messages.
"""
