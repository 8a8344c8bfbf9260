"""The model server: HTTP requests are predicted in batches and get the image's exact responses."""
