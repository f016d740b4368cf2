"""The doors: the HTTP service and the command line."""
