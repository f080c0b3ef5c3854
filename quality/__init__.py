"""What must hold in bronze and in the marts, and whether bill, bronze, FOCUS and marts agree; results in ledgers and a page."""
