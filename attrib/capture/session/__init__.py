"""One capture from start to end, in the parent process: its phases, its record, and how it goes on after an interruption."""
