"""Metrics: functions from arrays to values.

To add a metric, write a function of arrays in a file of this package. Call the function in `measure` in `values.py`, so
that records contain the value. If a printed cell uses the metric, add its name to `Metric` in
`fgbench/papers/printed.py` and to `MEASURED` in `fgbench/judge/verdict.py`.
"""
