"""The machine that jobs and model servers run on: shares, processes, container folders."""
