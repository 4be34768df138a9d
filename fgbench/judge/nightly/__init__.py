"""Compare two results folders or nights: what is worse, better, new, not run, or no longer comparable."""
