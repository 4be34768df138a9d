"""Executors of plans: a pool of processes on this machine, or the nodes of a Ray cluster."""
