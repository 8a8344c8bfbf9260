"""The only home of boto3: one module per service, AWS errors turned into domain errors."""
