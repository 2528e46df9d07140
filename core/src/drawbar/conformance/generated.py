"""Two hundred generated workflows that workers can import: the same in every process."""

from drawbar.conformance.graphs import seeded

COUNT = 200

globals().update({f"graph_{seed:03}": seeded(seed) for seed in range(COUNT)})
