"""GPU telemetry: the message (`events`); its collector, consumer and sink are planned in docs/decisions/0014."""
