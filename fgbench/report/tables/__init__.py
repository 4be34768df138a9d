"""Tables for programs (CSV, Parquet, JSON) and for readers (LaTeX, Markdown)."""
