"""Clients of usage and cost APIs: what a provider answers is written as pages of a pull, which `ingest.pages` then reads.

Data flow: config/accounts.yml (`pull:`) → apis.py (what to ask) → client.py (HTTP) → sequence.py (do the pages make a whole?)
→ folders.py (page files, `pull.json` last) → `costlake ingest`.
Run alone: costlake pull openai-usage
"""
