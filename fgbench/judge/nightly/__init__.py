"""Two nights side by side: what got worse or better, is new, was not run, or can no longer be compared."""
