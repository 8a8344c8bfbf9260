"""Verify Refit in an AWS account, or on the local stack by the same steps.

`make verify-aws`, `make verify-local` and `make verify-clean` run it (docs/aws.md, "Verify your
account"). It is here and not a command of `refit`, because it runs tests of this repository.

verification.py   the order of the steps, and what happens after an interruption
limits.py         time, runs and cost
target.py         AWS or a local stack
progress.py       what is done, in a file, so that a verification can be continued
own_stack.py      deploy the stack, and recognize it as the one that was made here
journey.py        run the tests marked `aws`, within the limits
probes/           one question about AWS each
cleaning.py       remove everything
remains.py        prove that nothing is left
report.py         what AWS answered, beside what the local stack answers
"""
