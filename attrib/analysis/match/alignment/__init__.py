"""Nodes given to calls by their order: the cheapest path through a grid, its prices, and the orders to choose from."""
