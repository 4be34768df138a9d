"""The results for readers: web pages in `html`, tables as CSV, Parquet, LaTeX and Markdown in `tables`."""
