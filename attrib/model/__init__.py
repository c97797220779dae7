"""The vocabulary that every layer speaks: frozen structs and column tables, with no behaviour beyond checking themselves."""
