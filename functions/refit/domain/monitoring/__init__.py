"""What the joined predictions say of the live version, by pure functions of counters."""
