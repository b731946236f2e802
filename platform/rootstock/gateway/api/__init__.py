"""REST: connections, and predictions by deployment name."""
