"""Remove a model with everything that belongs to it.

removal.py    the order of the steps, and the proof that nothing is left
kinds.py      what a kind of resource is, and how a removal waits
serving.py    executions, jobs, alarms, endpoint, models, packages
data.py       objects of the bucket and items of the tables
"""
