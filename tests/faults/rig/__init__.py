"""What the faults are made with: proxy, sink, servers, processes, a stage with two tenants."""
