"""Pictures of a graph: SVG, mermaid, Graphviz, a tree of text, JSON."""
