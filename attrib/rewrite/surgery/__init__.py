"""attrib's own changes of a graph, one file each; every one keeps what the graph computes."""
