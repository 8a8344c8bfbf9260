"""Destroy a stack with everything that it and its models made.

destruction.py   the order of the steps, and the proof that nothing is left
deployed.py      the stack, also after its deletion, and all resources that it ever had
listings.py      how each type of resource is listed, and which types are free of charge
of_models.py     what the models of the stack made: executions, jobs, endpoints, packages, logs
of_stack.py      what CloudFormation made: what starts work, the stack, the bucket, the tables
"""
