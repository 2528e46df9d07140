"""Values: types and their JSON form, shapes, references, limits."""
