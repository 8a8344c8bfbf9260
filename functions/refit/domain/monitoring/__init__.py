"""Decide from counters of predictions and labels whether the live version has drifted."""
