"""The catalog: programmes and the services they plan."""
