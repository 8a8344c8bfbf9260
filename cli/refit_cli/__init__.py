"""The command `refit`: speaks boto3 and HTTP, to either ground alike."""
