"""The operators' and managers' client: it speaks gRPC only."""
