"""Check whether an account or a machine can run Refit, before anything is deployed or spent.

findings.py      what a check found
needs.py         the SageMaker instances that models need at the same time
quotas.py        SageMaker's and Lambda's quotas
account.py       account, Region, image and stack
permissions.py   the permissions of the user who deploys
tools.py         the programs that build and deploy
machine.py       what the local stack and the tests need of this machine
"""
