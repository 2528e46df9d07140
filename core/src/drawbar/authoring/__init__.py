"""Authoring: the builder and what it takes and gives, from `workflow(...)` to `.commit()`.

Internal: third parties import nothing from here.
"""
