"""The JSON protocol: errors, checks of requests, pages of lists."""
