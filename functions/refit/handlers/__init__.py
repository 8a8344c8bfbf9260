"""One module per Lambda, thin: parse, decide, act, return."""
