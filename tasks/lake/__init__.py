"""The way out: pages of JSON into Parquet, and the state of a sync with them. Plain Python, no Prefect, no HTTP."""
