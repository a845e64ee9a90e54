"""What the README quotes, measured: each module is a command (`python -m benchmarks.cache_hit`), and
`python -m benchmarks` runs them all.

`ground` starts what a measurement needs and takes it away again, `measuring` takes times, `report` prints them.
"""
