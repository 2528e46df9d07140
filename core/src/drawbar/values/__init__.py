"""Values: types and their JSON form, shapes, references, limits.

Internal: third parties import nothing from here.
"""
