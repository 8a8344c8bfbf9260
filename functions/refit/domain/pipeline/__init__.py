"""What is decided while a run goes its way: what to train, what is live, why it failed."""
