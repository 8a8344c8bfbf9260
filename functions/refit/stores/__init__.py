"""Access to AWS, the only users of boto3. Each store owns the keys and format of its items."""
