"""The vocabulary that every layer speaks: frozen structs and column tables, with no behavior beyond checking themselves."""
