"""S3, and what speaks its protocol: addresses, the client, and its errors in one line."""
