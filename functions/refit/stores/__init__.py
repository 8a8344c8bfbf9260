"""Access AWS with boto3. Each store defines the keys and the format of its items."""
