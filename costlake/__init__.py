"""The kernel of costlake: settings, errors, periods, money, Delta access and ledgers.

It knows no provider, no Airflow and no dbt model; `ingest`, `streams`, `quality` and `insights` are built on it.
"""
