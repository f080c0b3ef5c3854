"""Provider files → landing → bronze. Knows providers; knows no orchestrator."""
