"""The differentiable operations of the papers: one idea per file."""
