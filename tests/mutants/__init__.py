"""Small changes made on purpose, to see whether the tests notice: `make mutants`, docs/testing.md.

`changes` finds what can be changed, `covering` which tests run a line, `worker` runs them on a changed copy,
`__main__` samples, scores and reports.
"""
