"""The commands, one module each (`up` and `down`, and `retrain` and `unblock`, share theirs)."""
