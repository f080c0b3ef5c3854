"""Reports for finance people: marts, insights and ledgers → HTML and XLSX files in `settings.reports`."""
