"""Access to AWS. Only this package uses boto3. Each store defines the keys and format of its items.
"""
