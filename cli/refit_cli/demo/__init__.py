"""The parts of `refit demo`: images, traffic, report and picture."""
