"""Every rule in a file of its own, in the group of what it is about; `attrib.findings.registry` lists them.

A rule knows no other rule.
"""
