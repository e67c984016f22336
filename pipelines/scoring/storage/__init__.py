"""Where an output is made and published: a folder, or a prefix in S3."""
