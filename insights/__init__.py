"""What follows from the marts: forecasts, anomalies, reports. Reads `marts.*` and `ops.*`, writes Delta `insights.*` and report files."""
