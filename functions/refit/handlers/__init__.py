"""One thin module per Lambda: parse the event, call one use case, return."""
