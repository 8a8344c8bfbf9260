"""Keep the state of the emulated services through a kill of the local stack."""
