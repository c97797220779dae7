"""The command line: one short file a command, imported when it is called."""
