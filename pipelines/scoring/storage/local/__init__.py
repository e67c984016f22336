"""An output that is a folder of this machine, or of a file system that several share."""
