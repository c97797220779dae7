"""Links by order alone: the cheapest path through a grid of nodes and calls.

`in_order.link_in_order` is the way in. It decides which order to believe; modules and graphs are the matchers' business.
"""

__all__ = ["in_order"]
