"""Live predictions and what really happened: asked, captured, labelled, joined, counted."""
