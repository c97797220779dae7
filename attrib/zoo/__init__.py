"""Built-in workloads: published architecture configurations, and the tasks that put a head on them."""
